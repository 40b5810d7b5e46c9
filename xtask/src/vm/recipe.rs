//! What an image is made of. Everything here goes into the recipe's hash.

use clap::ValueEnum;

/// A Debian release that the test machine can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Release {
    /// Debian 13: Linux 6.12, Docker 26.1, Podman 5.4, systemd 257, SDL 2 and 3.
    Trixie,
    /// Debian 12: Linux 6.1, Docker 20.10, Podman 4.3, systemd 252, SDL 2.
    Bookworm,
    /// Debian 12 on the kernel of Debian 11, whose own C library is too old for what is compiled here. Docker 20.10
    /// and systemd 252; no consumers.
    #[value(name = "linux-5.10")]
    Linux510,
}

impl Release {
    /// Debian's name of the release; ours of what Debian never was.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trixie => "trixie",
            Self::Bookworm => "bookworm",
            Self::Linux510 => "linux-5.10",
        }
    }

    /// Older releases in Debian's archive, whose libudev works here too.
    fn older(self) -> &'static str {
        match self {
            Self::Trixie => "bookworm bullseye",
            Self::Bookworm | Self::Linux510 => "bullseye",
        }
    }
}

/// The machine's own packages: what boots it, what runs containers, what looks at them.
const MACHINE: &[&str] = &[
    "linux-image-amd64",
    "busybox-static",
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "dbus-user-session",
    "apparmor",
    "docker.io",
    "podman",
    "crun",
    "runc",
    "netavark",
    "uidmap",
    "slirp4netns",
    "passt",
    "systemd-container",
    "bubblewrap",
    "lxc",
    "iptables",
    "nftables",
    "iproute2",
    "strace",
    "bpftool",
];

/// Where the machine with the older kernel gets its packages from: Debian 12, and Debian 11 for what only that has.
const LINUX_5_10_SOURCES: &[&str] = &[
    "deb http://deb.debian.org/debian bookworm main",
    "deb http://deb.debian.org/debian bullseye main",
];

/// The packages of that machine: its kernel by the name that no other release has, and one container runtime.
const LINUX_5_10: &[&str] = &[
    "linux-image-5.10.0-32-amd64",
    "busybox-static",
    "systemd",
    "systemd-sysv",
    "dbus",
    "apparmor",
    "docker.io",
    "iptables",
    "udev",
    "kmod",
    "procps",
];

/// What a user's container has: everything that listens for input devices. Also in the machine itself.
const CONSUMERS: &[&str] = &[
    "udev",
    "kmod",
    "procps",
    "evtest",
    "joystick",
    "libinput-tools",
    "libsdl2-2.0-0",
    "libsdl2-tests",
    "python3-evdev",
    "python3-pyudev",
];

/// What a user's container has for real hardware: serial lines, readers of smart cards. Not in the machine itself, where
/// they would be there before the container's, and with rules for the machine's udev; nor in Debian 12, whose pcscd does
/// nothing without polkit.
const FOR_HARDWARE: &[&str] = &["python3-serial", "pcscd", "libccid", "pcsc-tools"];

/// Perl's own modules, which pcsc-tools brings along for programs that nobody runs; packages are installed without them.
const LEFT_OUT_WITH_THEM: &[&str] = &[
    "/usr/share/perl/*",
    "/usr/share/perl5/Locale/*",
    "/usr/lib/x86_64-linux-gnu/perl/*",
    "/usr/lib/x86_64-linux-gnu/libperl.so*",
];

/// Files that no test looks at. They would only make the image bigger and its construction slower. LLVM and
/// the software renderer behind Mesa come with SDL, which opens them at run time for a window only.
const LEFT_OUT: &[&str] = &[
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/usr/share/icons/Adwaita/cursors/*",
    "/usr/share/fonts/*",
    "/usr/lib/x86_64-linux-gnu/libLLVM*",
    "/usr/lib/x86_64-linux-gnu/libgallium*",
    "/usr/lib/x86_64-linux-gnu/dri/*",
    "/usr/lib/x86_64-linux-gnu/libz3.so*",
    "*/kernel/drivers/gpu/*",
    "*/kernel/drivers/infiniband/*",
    "*/kernel/drivers/media/*",
    "*/kernel/drivers/net/ethernet/*",
    "*/kernel/drivers/net/wireless/*",
    "*/kernel/sound/*",
];

/// Files of our own in the machine: path, mode, content.
const FILES: &[(&str, &str, &str)] = &[
    // Moved into the initial RAM disk by customize.sh.
    ("usr/lib/hotseat-vm/init", "755", include_str!("../../guest/init")),
    ("usr/lib/hotseat-vm/agent", "755", include_str!("../../guest/agent")),
    ("usr/lib/hotseat-vm/provision", "755", include_str!("../../guest/provision.sh")),
    (
        "etc/systemd/system/hotseat-run.service",
        "644",
        include_str!("../../guest/hotseat-run.service"),
    ),
    (
        "etc/systemd/system/hotseat-shell.service",
        "644",
        include_str!("../../guest/hotseat-shell.service"),
    ),
];

const CUSTOMIZE: &str = include_str!("../../guest/customize.sh");

const LINUX_5_10_TOO: &str = include_str!("../../guest/linux-5.10.sh");

const LIBUDEV: &str = include_str!("../../guest/libudev.sh");

/// Extracts the root file system (`$1`) below the current folder, takes kernel and RAM disk out of it, puts
/// the consumers (`$2`) in as a plain folder too, of a user who can then run rootless containers on it
/// (`podman run --rootfs ~/consumers:O`), and makes a disk of it. No journal: a run's disk is thrown away, and the host kills the machine anyway.
/// Inode tables are written now, so that no run has to. The machine-id, which mmdebstrap insists on clearing,
/// keeps systemd from taking every boot for the first one. What not even its owner may read (`gshadow-`) would
/// stop fakeroot.
const MAKE_DISK: &str = "set -eu
mkdir tree
tar --extract --preserve-permissions --numeric-owner --directory tree --file \"$1\"
mv tree/boot/hotseat-kernel kernel
mv tree/boot/hotseat-initrd initrd
echo 686f7473656174686f74736561742121 > tree/etc/machine-id
mkdir tree/home/player/consumers
tar --extract --directory tree/home/player/consumers --file \"$2\"
chown -R 1000:1000 tree/home/player/consumers
find tree -type f ! -perm -u+r -exec chmod u+r {} +
mke2fs -q -t ext4 -O ^has_journal -N 300000 -E lazy_itable_init=0 -L hotseat -d tree disk 12G > mke2fs.log
rm -rf tree
";

/// The recipe of one image.
#[derive(Debug)]
pub(crate) struct Recipe {
    release: Release,
}

impl Recipe {
    pub(crate) fn new(release: Release) -> Self {
        Self { release }
    }

    /// Whether the machine has the consumers, in itself and as the container image `hotseat/consumers`.
    pub(crate) fn has_consumers(&self) -> bool {
        self.release != Release::Linux510
    }

    fn consumers(&self) -> Vec<&'static str> {
        let mut packages = CONSUMERS.to_vec();
        if self.release == Release::Trixie {
            packages.extend(["libsdl3-0", "libsdl3-tests"]);
        }
        packages
    }

    /// Arguments for mmdebstrap, without the tar file that they make: the machine's root file system.
    pub(crate) fn machine_arguments(&self) -> Vec<String> {
        if self.release == Release::Linux510 {
            return self.linux_5_10_arguments();
        }
        let mut packages = [MACHINE, &self.consumers()].concat();
        if self.release == Release::Trixie {
            // Part of docker.io in bookworm.
            packages.push("docker-cli");
        }
        let mut arguments = self.mmdebstrap(&packages);
        customize(&mut arguments, CUSTOMIZE);
        arguments.push(format!(
            "--customize-hook=chroot \"$1\" sh -c {} sh {}",
            quote(LIBUDEV),
            self.release.older()
        ));
        arguments
    }

    /// mmdebstrap wants the release before its sources, and the sources last: the tar file comes between.
    fn linux_5_10_arguments(&self) -> Vec<String> {
        let mut arguments = self.mmdebstrap(LINUX_5_10);
        let shared = CUSTOMIZE.replace(" hid-playstation ", " ");
        customize(&mut arguments, &[&shared, LINUX_5_10_TOO].concat());
        arguments
    }

    /// The lines of `sources.list`, when they are not those of the release; they come after the tar file.
    pub(crate) fn sources(&self) -> &'static [&'static str] {
        if self.release == Release::Linux510 { LINUX_5_10_SOURCES } else { &[] }
    }

    /// The shell script that makes the disk.
    pub(crate) fn make_disk(&self) -> String {
        let lines =
            MAKE_DISK.lines().filter(|line| self.has_consumers() || !line.contains("consumers"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The same for the container image `hotseat/consumers`.
    pub(crate) fn consumers_arguments(&self) -> Vec<String> {
        if self.release != Release::Trixie {
            return self.mmdebstrap(&self.consumers());
        }
        let mut arguments = self.mmdebstrap(&[&self.consumers(), FOR_HARDWARE].concat());
        let left_out = LEFT_OUT_WITH_THEM.iter();
        arguments.splice(0..0, left_out.map(|glob| format!("--dpkgopt=path-exclude={glob}")));
        arguments
    }

    fn mmdebstrap(&self, packages: &[&str]) -> Vec<String> {
        let mut arguments = vec![
            "--variant=minbase".to_owned(),
            "--format=tar".to_owned(),
            "--aptopt=Apt::Install-Recommends \"false\"".to_owned(),
        ];
        arguments.extend(LEFT_OUT.iter().map(|glob| format!("--dpkgopt=path-exclude={glob}")));
        arguments.push(format!("--include={}", packages.join(",")));
        arguments.push(
            match self.release {
                Release::Linux510 => Release::Bookworm,
                release => release,
            }
            .name()
            .to_owned(),
        );
        arguments
    }

    /// The name of the image's folder: the release and a hash over all of the above.
    pub(crate) fn name(&self) -> String {
        let mut parts =
            vec![self.machine_arguments(), self.consumers_arguments(), vec![MAKE_DISK.into()]];
        parts.push(self.sources().iter().map(|&line| line.to_owned()).collect());
        // FNV-1a: not for secrets, and the same in every version of every program.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in parts.concat().iter().flat_map(|part| part.bytes().chain([0])) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        format!("{}-{hash:016x}", self.release.name())
    }
}

/// The last steps of a machine's root file system: our files and the script that runs in it.
fn customize(arguments: &mut Vec<String>, script: &str) {
    for (path, mode, content) in FILES {
        let content = quote(content);
        arguments.push(format!(
            "--customize-hook=mkdir -p \"$(dirname \"$1/{path}\")\" \
             && printf %s {content} > \"$1/{path}\" && chmod {mode} \"$1/{path}\""
        ));
    }
    arguments.push(format!("--customize-hook=chroot \"$1\" sh -c {}", quote(script)));
}

/// `text` as one word of a POSIX shell.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::{MAKE_DISK, Recipe, Release, quote};

    #[test]
    fn a_quoted_word_keeps_its_quotes() {
        assert_eq!(quote("it's \"$x\"\n"), "'it'\\''s \"$x\"\n'");
    }

    #[test]
    fn each_release_has_its_own_recipe() {
        let [trixie, bookworm] = [Release::Trixie, Release::Bookworm].map(Recipe::new);
        assert_ne!(trixie.name(), bookworm.name());
        assert_eq!(trixie.name(), Recipe::new(Release::Trixie).name());
        assert!(!bookworm.consumers().contains(&"libsdl3-0"));
    }

    #[test]
    fn the_machine_with_the_older_kernel_lacks_only_what_that_kernel_lacks() {
        let machine = Recipe::new(Release::Linux510);
        let customize = machine.machine_arguments().concat();
        assert!(customize.contains("uinput uhid joydev evdev hid-generic"));
        assert!(!machine.make_disk().contains("consumers"));
        assert!(machine.make_disk().contains("mke2fs"));
        assert_eq!(Recipe::new(Release::Trixie).make_disk(), MAKE_DISK.trim_end());
    }
}
