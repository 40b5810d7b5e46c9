# Runs in the fresh root file system: /opt/libudev/systemd-VERSION/libudev.so.1, for the tests of what receives
# our messages. The release's own, and that of each older release named in the arguments.
set -eu
work=$(mktemp -d)

add() { # its package's version, its file
	mkdir -p "/opt/libudev/systemd-${1%%[.~-]*}"
	cp -L "$2" "/opt/libudev/systemd-${1%%[.~-]*}/libudev.so.1"
}

add "$(dpkg-query --show --showformat '${Version}' libudev1)" /usr/lib/x86_64-linux-gnu/libudev.so.1
for release; do
	mkdir -p "$work/$release/lists/partial" "$work/$release/archives/partial"
	cd "$work/$release"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $release main" \
		> sources.list
	# Nothing of this release may get into the machine's own lists.
	cat > apt.conf <<-END
		Dir::State "$PWD";
		Dir::State::status "/dev/null";
		Dir::Cache "$PWD";
		Dir::Etc::SourceList "$PWD/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Acquire::Languages "none";
		APT::Sandbox::User "root";
	END
	APT_CONFIG=$PWD/apt.conf apt-get update
	APT_CONFIG=$PWD/apt.conf apt-get download libudev1
	dpkg-deb --extract libudev1_*.deb root
	add "$(dpkg-deb --field libudev1_*.deb Version)" "$(find root -name libudev.so.1)"
done
rm -r "$work"
