"""What SDL makes of one joystick: `sdl.py 2|3 /dev/input/eventN`.

Prints what it knows of it, a fact per line, then `ready`, then every event. Rumbles on the line `rumble` from
its input, and ends with its input. The library is used as Debian ships it.
"""

import ctypes
import select
import sys
from ctypes import byref, c_char_p, c_int, c_int16, c_uint8, c_uint16, c_uint32, c_void_p

MAJOR, PATH = int(sys.argv[1]), sys.argv[2]
sdl = ctypes.CDLL({2: "libSDL2-2.0.so.0", 3: "libSDL3.so.0"}[MAJOR])

# SDL_INIT_JOYSTICK, _HAPTIC, _GAMECONTROLLER (in SDL 3: _GAMEPAD): the same in both.
INIT = 0x200 | 0x1000 | 0x2000


def function(name2, name3, result, *arguments):
    found = getattr(sdl, {2: name2, 3: name3}[MAJOR])
    found.restype, found.argtypes = result, arguments
    return found


init = function("SDL_Init", "SDL_Init", c_int, c_uint32)
open_joystick = function("SDL_JoystickOpen", "SDL_OpenJoystick", c_void_p, c_uint32)
close_joystick = function("SDL_JoystickClose", "SDL_CloseJoystick", None, c_void_p)
joystick_path = function("SDL_JoystickPath", "SDL_GetJoystickPath", c_char_p, c_void_p)
joystick_name = function("SDL_JoystickName", "SDL_GetJoystickName", c_char_p, c_void_p)
joystick_type = function("SDL_JoystickGetType", "SDL_GetJoystickType", c_int, c_void_p)
axes = function("SDL_JoystickNumAxes", "SDL_GetNumJoystickAxes", c_int, c_void_p)
buttons = function("SDL_JoystickNumButtons", "SDL_GetNumJoystickButtons", c_int, c_void_p)
hats = function("SDL_JoystickNumHats", "SDL_GetNumJoystickHats", c_int, c_void_p)
is_gamepad = function("SDL_IsGameController", "SDL_IsGamepad", c_uint8, c_uint32)
open_gamepad = function("SDL_GameControllerOpen", "SDL_OpenGamepad", c_void_p, c_uint32)
gamepad_name = function("SDL_GameControllerName", "SDL_GetGamepadName", c_char_p, c_void_p)
gamepad_type = function("SDL_GameControllerGetType", "SDL_GetGamepadType", c_int, c_void_p)
gamepad_mapping = function("SDL_GameControllerMapping", "SDL_GetGamepadMapping", c_char_p, c_void_p)
button_name = function(
    "SDL_GameControllerGetStringForButton", "SDL_GetGamepadStringForButton", c_char_p, c_int
)
axis_name = function(
    "SDL_GameControllerGetStringForAxis", "SDL_GetGamepadStringForAxis", c_char_p, c_int
)
rumble = function(
    "SDL_JoystickRumble", "SDL_RumbleJoystick", c_int, c_void_p, c_uint16, c_uint16, c_uint32
)
open_haptic = function(
    "SDL_HapticOpenFromJoystick", "SDL_OpenHapticFromJoystick", c_void_p, c_void_p
)
haptic_features = function("SDL_HapticQuery", "SDL_GetHapticFeatures", c_uint32, c_void_p)
poll_event = function("SDL_PollEvent", "SDL_PollEvent", c_uint8, c_void_p)

JOYSTICK_TYPES = [
    "unknown", "gamecontroller", "wheel", "arcade stick", "flight stick", "dance pad", "guitar",
    "drum kit", "arcade pad", "throttle",
]


def say(*words):
    print(*words, flush=True)


def ids():
    if MAJOR == 2:
        return range(sdl.SDL_NumJoysticks())
    count = c_int()
    sdl.SDL_GetJoysticks.restype = ctypes.POINTER(c_uint32)
    found = sdl.SDL_GetJoysticks(byref(count))
    return found[: count.value]


def find():
    for number in ids():
        joystick = open_joystick(number)
        if joystick and (joystick_path(joystick) or b"").decode() == PATH:
            return number, joystick
        close_joystick(joystick)
    sys.exit(f"SDL {MAJOR} has no joystick {PATH}")


done = init(INIT)
if (done != 0) if MAJOR == 2 else not done:
    sys.exit(f"SDL {MAJOR} does not start")
number, joystick = find()
say("name", joystick_name(joystick).decode())
say("type", JOYSTICK_TYPES[joystick_type(joystick)])
say(f"has {axes(joystick)} axes, {buttons(joystick)} buttons, {hats(joystick)} hat")
haptic = open_haptic(joystick)
say("haptic", hex(haptic_features(haptic)) if haptic else "none")
if is_gamepad(number):
    gamepad = open_gamepad(number)
    say("gamepad", gamepad_name(gamepad).decode())
    say("gamepad-type", gamepad_type(gamepad))
    say("mapping", gamepad_mapping(gamepad).decode())
else:
    say("gamepad none")
say("ready")

# SDL_Event: the type, a time of 4 bytes (SDL 3: of 8, after 4 unused), the joystick, and what differs.
event = (c_uint8 * 128)()
BODY = {2: 12, 3: 20}[MAJOR]
VALUE = {2: 16, 3: 24}[MAJOR]


def show():
    kind = c_uint32.from_buffer(event, 0).value
    which, second = event[BODY], event[BODY + 1]
    value = c_int16.from_buffer(event, VALUE).value
    if kind == 0x600:
        say("axis", which, value)
    elif kind == 0x602:
        say("hat", which, second)
    elif kind in (0x603, 0x604):
        say("button", which, "down" if kind == 0x603 else "up")
    elif kind == 0x650:
        say("pad", axis_name(which).decode(), value)
    elif kind in (0x651, 0x652):
        say("pad", button_name(which).decode(), "down" if kind == 0x651 else "up")


poller = select.poll()
poller.register(sys.stdin, select.POLLIN)
while True:
    while poll_event(byref(event)):
        show()
    if poller.poll(5):
        line = sys.stdin.readline()
        if not line:
            break
        if line == "rumble\n":
            rumble(joystick, 0xC000, 0x4000, 5000)
            say("rumbled")
