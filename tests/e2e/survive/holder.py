"""A program that has devices open and keeps them. On its standard input: `upload`, `play`, `end`."""
import os
import select
import sys

import evdev
from evdev import ecodes, ff

devices = [evdev.InputDevice(path) for path in sys.argv[1:] if "event" in path]
raws = [os.open(path, os.O_RDWR) for path in sys.argv[1:] if "hidraw" in path]
effects = {}


def say(*words):
    print(*words, flush=True)


def upload():
    for device in devices:
        if ecodes.EV_FF in device.capabilities():
            rumble = ff.EffectType(ff_rumble_effect=ff.Rumble(strong_magnitude=0x8000, weak_magnitude=0x4000))
            effect = ff.Effect(ecodes.FF_RUMBLE, -1, 0, ff.Trigger(0, 0), ff.Replay(2000, 0), rumble)
            effects[device.path] = (device, device.upload_effect(effect))
    say("uploaded", len(effects))


say("holding", len(devices), len(raws))
while True:
    ready, _, _ = select.select(devices + raws + [sys.stdin], [], [])
    for source in ready:
        if source is sys.stdin:
            word = sys.stdin.readline().strip()
            if word == "upload":
                upload()
            elif word == "play":
                for device, effect in effects.values():
                    device.write(ecodes.EV_FF, effect, 1)
                say("played")
            else:
                sys.exit()
        elif source in raws:
            os.read(source, 4096)
        else:
            try:
                for event in source.read():
                    if event.type == ecodes.EV_KEY:
                        say(os.path.basename(source.path), event.code, event.value)
            except OSError as error:
                say("gone", source.path, error)
                sys.exit(1)
