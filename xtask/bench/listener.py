# A program in the container that wants game pads: real libudev, as games use it. Says when it has one.
import os
import time

import pyudev

monitor = pyudev.Monitor.from_netlink(pyudev.Context())
monitor.filter_by("input")
monitor.start()
print("listening", flush=True)
for device in iter(monitor.poll, None):
    node = device.device_node
    if node is None or device.properties.get("ID_INPUT_JOYSTICK") != "1":
        continue
    if device.action == "add":
        opened = os.open(node, os.O_RDONLY | os.O_NONBLOCK)
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        os.close(opened)
        print("add", os.path.basename(node), now, flush=True)
    else:
        print(device.action, os.path.basename(node), flush=True)
