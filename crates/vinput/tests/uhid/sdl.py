"""Plays a game that uses SDL: finds the gamepad, says what SDL makes of it, then does as it is told.

Arguments: 2 or 3, SDL's major version; 1 or 0, whether SDL may talk to the pad itself (HIDAPI) or reads
evdev; the vendor and product number of the pad. Each line of the standard input is a command, each line of the
standard output a JSON answer.
"""

import ctypes
import json
import os
import select
import sys

version, hidapi, vendor, product = (int(argument, 0) for argument in sys.argv[1:])
os.environ.update(
    SDL_JOYSTICK_HIDAPI=str(hidapi),
    # Buttons by where they are, as SDL 3 has them anyway.
    SDL_GAMECONTROLLER_USE_BUTTON_LABELS="0",
    # Full reports over Bluetooth, and Joy-Cons each on its own.
    SDL_JOYSTICK_HIDAPI_PS4_RUMBLE="1",
    SDL_JOYSTICK_HIDAPI_PS5_RUMBLE="1",
    SDL_JOYSTICK_ENHANCED_REPORTS="1",
    SDL_JOYSTICK_HIDAPI_COMBINE_JOY_CONS="0",
    SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS="1",
    SDL_VIDEODRIVER="dummy",
    SDL_VIDEO_DRIVER="dummy",
)
sdl = ctypes.CDLL({2: "libSDL2-2.0.so.0", 3: "libSDL3.so.0"}[version])
GAMEPAD = 0x2000
ACCEL, GYRO = 1, 2


def function(new, old, result, *arguments):
    """A function by its name in SDL 3 or SDL 2."""
    found = getattr(sdl, new if version == 3 else old)
    found.restype, found.argtypes = result, arguments
    return found


pad_t, text, boolean = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_bool
floats = ctypes.POINTER(ctypes.c_float)
u8, u16, u32 = ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32
get_error = function("SDL_GetError", "SDL_GetError", text)
update = function("SDL_UpdateGamepads", "SDL_GameControllerUpdate", None)
pump = function("SDL_PumpEvents", "SDL_PumpEvents", None)
delay = function("SDL_Delay", "SDL_Delay", None, u32)
name_of = function("SDL_GetGamepadName", "SDL_GameControllerName", text, pad_t)
serial_of = function("SDL_GetGamepadSerial", "SDL_GameControllerGetSerial", text, pad_t)
path_of = function("SDL_GetGamepadPath", "SDL_GameControllerPath", text, pad_t)
type_of = function("SDL_GetGamepadType", "SDL_GameControllerGetType", ctypes.c_int, pad_t)
mapping_of = function("SDL_GetGamepadMapping", "SDL_GameControllerMapping", text, pad_t)
vendor_of = function("SDL_GetGamepadVendor", "SDL_GameControllerGetVendor", u16, pad_t)
product_of = function("SDL_GetGamepadProduct", "SDL_GameControllerGetProduct", u16, pad_t)
button = function("SDL_GetGamepadButton", "SDL_GameControllerGetButton", u8, pad_t, ctypes.c_int)
axis = function("SDL_GetGamepadAxis", "SDL_GameControllerGetAxis", ctypes.c_int16, pad_t, ctypes.c_int)
has_sensor = function("SDL_GamepadHasSensor", "SDL_GameControllerHasSensor", boolean, pad_t, ctypes.c_int)
enable = function(
    "SDL_SetGamepadSensorEnabled", "SDL_GameControllerSetSensorEnabled",
    ctypes.c_int, pad_t, ctypes.c_int, ctypes.c_int,
)
sensor = function(
    "SDL_GetGamepadSensorData", "SDL_GameControllerGetSensorData",
    ctypes.c_int, pad_t, ctypes.c_int, floats, ctypes.c_int,
)
touchpads = function("SDL_GetNumGamepadTouchpads", "SDL_GameControllerGetNumTouchpads", ctypes.c_int, pad_t)
finger = function(
    "SDL_GetGamepadTouchpadFinger", "SDL_GameControllerGetTouchpadFinger",
    ctypes.c_int, pad_t, ctypes.c_int, ctypes.c_int, ctypes.POINTER(u8), floats, floats, floats,
)
rumble = function("SDL_RumbleGamepad", "SDL_GameControllerRumble", ctypes.c_int, pad_t, u16, u16, u32)
led = function("SDL_SetGamepadLED", "SDL_GameControllerSetLED", ctypes.c_int, pad_t, u8, u8, u8)
effect = function(
    "SDL_SendGamepadEffect", "SDL_GameControllerSendEffect", ctypes.c_int, pad_t, text, ctypes.c_int
)


def answer(**values):
    print(json.dumps(values), flush=True)


def find():
    """Opens the gamepad as soon as SDL has it."""
    while True:
        pump()
        if version == 3:
            count = ctypes.c_int()
            ids = function("SDL_GetGamepads", "", ctypes.POINTER(u32), ctypes.POINTER(ctypes.c_int))
            candidates = ids(ctypes.byref(count))[: count.value]
            opened = function("SDL_OpenGamepad", "", pad_t, u32)
        else:
            candidates = range(function("", "SDL_NumJoysticks", ctypes.c_int)())
            candidates = [i for i in candidates if function("", "SDL_IsGameController", ctypes.c_int, ctypes.c_int)(i)]
            opened = function("", "SDL_GameControllerOpen", pad_t, ctypes.c_int)
        for candidate in candidates:
            pad = opened(candidate)
            if pad and (vendor_of(pad), product_of(pad)) == (vendor, product):
                return pad
        # SDL looks for devices by itself, from time to time, and has nothing to wait on without a window.
        delay(10)


def said(value):
    return value.decode() if value else ""


def frame():
    pump()
    update()


def state(pad):
    frame()
    values = (ctypes.c_float * 3)()
    sensors = {}
    for kind, key in ((ACCEL, "accel"), (GYRO, "gyro")):
        if has_sensor(pad, kind):
            sensor(pad, kind, values, 3)
            sensors[key] = list(values)
    fingers = []
    for index in range(2 if touchpads(pad) else 0):
        down, x, y, pressure = u8(), ctypes.c_float(), ctypes.c_float(), ctypes.c_float()
        finger(pad, 0, index, *map(ctypes.byref, (down, x, y, pressure)))
        fingers.append([bool(down.value), x.value, y.value])
    answer(
        buttons=[index for index in range(26 if version == 3 else 21) if button(pad, index)],
        axes=[axis(pad, index) for index in range(6)],
        touches=fingers,
        power=power(pad),
        **sensors,
    )


def power(pad):
    """The charge as SDL says it: percent, or a level in SDL 2 (0 empty, 1 low, 2 medium, 3 full, 4 wired)."""
    if version == 3:
        percent = ctypes.c_int(-1)
        info = function(
            "SDL_GetGamepadPowerInfo", "", ctypes.c_int, pad_t, ctypes.POINTER(ctypes.c_int)
        )
        info(pad, ctypes.byref(percent))
        return percent.value
    joystick = function("", "SDL_GameControllerGetJoystick", pad_t, pad_t)(pad)
    return function("", "SDL_JoystickCurrentPowerLevel", ctypes.c_int, pad_t)(joystick)


function("SDL_Init", "SDL_Init", ctypes.c_int, u32)(GAMEPAD)
pad = find()
for kind in (ACCEL, GYRO):
    if has_sensor(pad, kind):
        enable(pad, kind, 1)
answer(
    name=said(name_of(pad)),
    serial=said(serial_of(pad)),
    path=said(path_of(pad)),
    type=type_of(pad),
    mapping=said(mapping_of(pad)),
    accel=bool(has_sensor(pad, ACCEL)),
    gyro=bool(has_sensor(pad, GYRO)),
    touchpads=touchpads(pad),
)
while True:
    # As a game does: SDL sends some things only when it is given time, frame by frame.
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        frame()
    command, *arguments = (sys.stdin.readline() or "quit").split()
    numbers = [int(argument, 0) for argument in arguments]
    if command == "state":
        state(pad)
    elif command == "rumble":
        answer(result=rumble(pad, *numbers, 60000))
    elif command == "led":
        answer(result=led(pad, *numbers))
    elif command == "effect":
        answer(result=effect(pad, bytes(numbers), len(numbers)))
    else:
        break
