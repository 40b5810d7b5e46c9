"""Programs with libudev, as the tests of the receivers need them: several real libraries side by side in one
process, in namespaces of its own.

The first argument is what to be, as JSON. Every answer is a line of JSON. The program says `unshared` when its
user namespace waits for its map, `ready` when it listens, and then answers every line of input with everything
that has arrived since: netlink delivers before the sender's sendmsg(2) returns, so nothing needs to be waited for.
"""

import ctypes
import json
import os
import select
import socket
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_REC_PRIVATE = 0x44000
NETLINK_KOBJECT_UEVENT = 15
SO_PASSCRED = 16
SOL_SOCKET = 1
SCM_CREDENTIALS = 2


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def say(**answer):
    print(json.dumps(answer), flush=True)


def enter(config):
    """New namespaces, and a /run and a /dev as a container has them: without devtmpfs, by which libudev would
    know a host."""
    if config["map"]:
        check(libc.unshare(CLONE_NEWUSER))
        say(unshared=os.getpid())
        sys.stdin.readline()
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWNET))
    check(libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None))
    for path in b"/run", b"/dev":
        check(libc.mount(b"tmpfs", path, b"tmpfs", 0, b"mode=755"))
    os.mkdir("/run/udev")
    open("/dev/null", "w").close()
    if config["control"]:
        open("/run/udev/control", "w").close()
    os.setresgid(config["uid"], config["uid"], config["uid"])
    os.setresuid(config["uid"], config["uid"], config["uid"])


class Library:
    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        for name in (
            "udev_new udev_monitor_new_from_netlink udev_monitor_receive_device udev_list_entry_get_next "
            "udev_device_get_properties_list_entry"
        ).split():
            self.function(name).restype = ctypes.c_void_p
        for name in "udev_list_entry_get_name udev_list_entry_get_value udev_device_get_devpath".split():
            self.function(name).restype = ctypes.c_char_p
        self.context = self.call("udev_new")

    def function(self, name):
        return getattr(self.lib, name)

    def call(self, name, argument=None, *more):
        if argument is None:
            return self.function(name)(*more)
        return self.function(name)(ctypes.c_void_p(argument), *more)


class Monitor:
    def __init__(self, library, filters):
        self.library = library
        group = filters.get("group", "udev").encode()
        self.monitor = library.call("udev_monitor_new_from_netlink", library.context, group)
        for name in "subsystem", "tag":
            if name not in filters:
                continue
            text = lambda key: filters[key].encode() if key in filters else None
            if name == "subsystem":
                add, values = "subsystem_devtype", (text("subsystem"), text("devtype"))
            else:
                add, values = "tag", (text("tag"),)
            check(library.call("udev_monitor_filter_add_match_" + add, self.monitor, *values))
        check(library.call("udev_monitor_enable_receiving", self.monitor))
        self.poll = select.poll()
        self.poll.register(library.call("udev_monitor_get_fd", self.monitor), select.POLLIN)

    def drain(self):
        devices = []
        while self.poll.poll(0):
            device = self.library.call("udev_monitor_receive_device", self.monitor)
            if device:
                devices.append(self.properties(device))
                self.library.call("udev_device_unref", device)
        return devices

    def properties(self, device):
        call = self.library.call
        properties = {}
        entry = call("udev_device_get_properties_list_entry", device)
        while entry:
            name, value = (call("udev_list_entry_get_" + what, entry) for what in ("name", "value"))
            properties[name.decode()] = (value or b"").decode(errors="replace")
            entry = call("udev_list_entry_get_next", entry)
        return properties


class Raw:
    """What arrives at a group before any library looks at it: the senders' users."""

    def __init__(self, group):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT)
        self.socket.setsockopt(SOL_SOCKET, SO_PASSCRED, 1)
        self.socket.setblocking(False)
        self.socket.bind((0, group))

    def drain(self):
        found = []
        while True:
            try:
                data, ancillary, _, address = self.socket.recvmsg(65536, socket.CMSG_SPACE(12))
            except BlockingIOError:
                return found
            [(_, kind, credentials)] = ancillary
            assert kind == SCM_CREDENTIALS
            uid = int.from_bytes(credentials[4:8], sys.byteorder)
            found.append({"uid": uid, "port": address[0], "data": data.decode(errors="replace")})


def main():
    config = json.loads(sys.argv[1])
    if config["enter"]:
        enter(config)
    if config["nested"]:
        # A Flatpak's or Steam's sandbox inside the container: a user namespace with nobody but the user.
        inner = json.dumps(config | {"enter": False, "nested": False})
        command = "bwrap --unshare-user --uid 1000 --gid 1000 --dev-bind / / --proc /proc".split()
        os.execvp("bwrap", [*command, "python3", "-c", os.environ["LISTENER"], inner])
    raw = {str(group): Raw(group) for group in (1, 2, 4)}
    libraries = {name: Library(path) for name, path in config["libraries"].items()}

    def listen():
        return {
            name: {label: Monitor(library, filters) for label, filters in config["filters"].items()}
            for name, library in libraries.items()
        }

    monitors = listen()
    say(ready=os.getpid(), uid=os.getuid(), map=open("/proc/self/uid_map").read().split(), monotonic=time.monotonic())
    for line in sys.stdin:
        if line.strip() == "control":
            open("/run/udev/control", "w").close()
        elif line.strip() == "listen":
            monitors = listen()
        elif line.strip() == "udevd":
            # To be taken for one: its control socket. It hears the kernel's group already.
            os.unlink("/run/udev/control")
            control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            control.bind("/run/udev/control")
            control.listen()
        elif line.strip() == "no udevd":
            control.close()
        drained = {
            name: {label: monitor.drain() for label, monitor in of_library.items()}
            for name, of_library in monitors.items()
        }
        say(monitors=drained, raw={group: listener.drain() for group, listener in raw.items()})


main()
