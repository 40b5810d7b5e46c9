# A program in a container: reads the devices that it is told to, and says what happens on them.
import sys, threading
import evdev
from evdev import ecodes, ff

devices, effects, counts = {}, {}, {}
lock = threading.Lock()

# Whole lines: there is a thread for each device.
def say(*words):
    with lock:
        print(*words, flush=True)

def name(event):
    found = ecodes.bytype[event.type].get(event.code, event.code)
    # Of several names, the one that says most.
    found = [found] if isinstance(found, (str, int)) else list(found)
    return 'BTN_SOUTH' if 'BTN_SOUTH' in found else str(found[0])

def read(device, quiet):
    # Asking what is held takes waiting keys away (EVIOCGKEY, Linux drivers/input/evdev.c), but only from who asks.
    asker = evdev.InputDevice(device.path)
    try:
        for event in device.read_loop():
            if event.type == ecodes.EV_KEY:
                if quiet and event.code in (ecodes.BTN_START, ecodes.BTN_RIGHT):
                    say('last word')
                elif quiet:
                    counts[event.code] = counts.get(event.code, 0) + (event.value == 1)
                else:
                    say(name(event), event.value, 'held', asker.active_keys())
            elif event.type == ecodes.EV_REL:
                counts[name(event)] = counts.get(name(event), 0) + event.value
            elif event.type == ecodes.EV_ABS and not quiet:
                say(name(event), event.value)
    except OSError:
        say('gone', device.path)

def opened(path):
    if path not in devices:
        devices[path] = evdev.InputDevice(path)
    return devices[path]

def obey(what, path, more):
    device = None if path == '-' else opened(path)
    if what in ('read', 'count'):
        threading.Thread(target=read, args=(device, what == 'count'), daemon=True).start()
        say('reading', path)
    elif what == 'wait':
        code = ecodes.ecodes[more[0]]
        # An event that comes after the look is waiting.
        if code not in device.active_keys():
            for event in device.read_loop():
                if (event.type, event.code, event.value) == (ecodes.EV_KEY, code, 1):
                    break
        say(more[0], 'is held')
    elif what == 'tell':
        say('counted', sorted((str(k), v) for k, v in counts.items()))
    elif what == 'rumble':
        rumble = ff.Rumble(strong_magnitude=0xffff, weak_magnitude=0)
        kind = ff.EffectType(ff_rumble_effect=rumble)
        effect = ff.Effect(ecodes.FF_RUMBLE, -1, 0, ff.Trigger(0, 0), ff.Replay(0, 0), kind)
        effects[path] = device.upload_effect(effect)
        device.write(ecodes.EV_FF, effects[path], 1)
        say('rumbling')
    elif what == 'still':
        device.write(ecodes.EV_FF, effects[path], 0)
    elif what == 'led':
        device.set_led(ecodes.LED_CAPSL, int(more[0]))

say('inside')
for line in sys.stdin:
    what, path, *more = line.split()
    try:
        obey(what, path, more)
    except Exception as error:
        say('FAILED', line, repr(error))
