//! The rows that only the newer test machine has: containers named by reference, and a second Docker engine.

use std::path::Path;

use serde_json::Value;

use crate::harness::{IMAGE, sh};
use crate::matrix::{MAIN, Row, followed, name, run, until};

/// A plain root file system, of user 1000 (xtask/src/vm/recipe.rs).
pub(crate) const CONSUMERS: &str = "/home/player/consumers";

/// Whether this is another machine than the test machine, which has what these tests start.
pub(crate) fn skipped() -> bool {
    let there = Path::new(CONSUMERS).exists();
    if !there {
        eprintln!("SKIP(needs the users and programs of the test machine)");
    }
    !there
}

#[test]
fn containerd() {
    if skipped() {
        return;
    }
    let row = Row {
        start: format!(
            "systemctl start containerd
             ctr run --detach --rootfs --env PATH=/usr/bin {CONSUMERS} hotseat sh -c '{MAIN}'"
        ),
        reference: "echo cri:hotseat".to_owned(),
        restart: "ctr task rm --force hotseat; ctr task start --detach hotseat".to_owned(),
        stop: "ctr task rm --force hotseat; ctr container rm hotseat".to_owned(),
        configuration: "",
    };
    let session = run(&row);
    assert_eq!(session["container"]["shares_cgroup"], false);
}

/// Makes `config.json` of a plain bundle: what `runc spec` suggests, with our command and an empty /run.
const SPEC: &str = r#"
import json, sys
spec = json.load(open("config.json"))
spec["process"]["terminal"] = False
spec["process"]["args"] = ["sh", "-c", sys.argv[1]]
spec["root"] = {"path": sys.argv[2], "readonly": True}
spec["mounts"].append({"destination": "/run", "type": "tmpfs", "source": "tmpfs"})
json.dump(spec, open("config.json", "w"))
"#;

#[test]
fn a_plain_bundle_of_runc() {
    if skipped() {
        return;
    }
    let run_it =
        "runc run --detach --bundle /run/hotseat-bundle hotseat < /dev/null > /dev/null 2>&1";
    let row = Row {
        start: format!(
            "mkdir /run/hotseat-bundle; cd /run/hotseat-bundle; runc spec
             python3 -c '{SPEC}' '{MAIN}' {CONSUMERS}
             {run_it}"
        ),
        reference: "runc state hotseat | sed -n 's/.*\"pid\": \\([0-9]*\\).*/pid:\\1/p'".to_owned(),
        restart: format!("runc delete --force hotseat; {run_it}"),
        stop: "runc delete --force hotseat; rm -r /run/hotseat-bundle".to_owned(),
        configuration: "",
    };
    let session = run(&row);
    assert_eq!(session["container"]["shares_cgroup"], false);
}

fn nspawn(name: &str, options: &str) -> Value {
    let start = format!(
        "timeout 60 systemd-run --quiet --collect --unit {name} --property Type=notify --property NotifyAccess=all \
             systemd-nspawn --quiet --directory {CONSUMERS} --machine {name} --private-network --read-only \
             --as-pid2 {options} sh -c '{MAIN}' ||
             {{ journalctl --unit {name} >&2; false; }}
         "
    );
    let stop = format!(
        "machinectl terminate {name}; {}",
        until(&format!("! systemctl --quiet is-active {name}"))
    );
    run(&Row {
        restart: format!("{stop}{start}"),
        start,
        reference: format!("echo machine:{name}"),
        stop,
        configuration: "",
    })
}

/// Another Docker engine beside the host's, whose containers have users of their own. In a network of its own: it would
/// take the other one's bridge away.
struct Remapped;

impl Remapped {
    const SOCKET: &str = "/run/hotseat-remapped.sock";

    fn start() -> Self {
        let this = Self;
        sh(&format!(
            "id dockremap 2> /dev/null || useradd --system dockremap
             for file in /etc/subuid /etc/subgid; do
                 grep -q '^dockremap:' $file || echo dockremap:500000:65536 >> $file
             done
             systemd-run --quiet --unit hotseat-remapped --property Delegate=yes \
                 unshare --net dockerd --userns-remap dockremap --host unix://{socket} --pidfile /run/hotseat-remapped.pid \
                 --data-root /var/tmp/hotseat-remapped --exec-root /run/hotseat-remapped \
                 --containerd-namespace remapped --containerd-plugins-namespace remapped-plugins \
                 --bridge none --iptables=false --ip6tables=false
             {}
             tar --create --directory / --no-recursion bin lib lib64 sbin run usr etc etc/ld.so.cache |
                 docker --host unix://{socket} import - {IMAGE}",
            until(&format!("docker --host unix://{socket} info > /dev/null 2>&1", socket = Self::SOCKET)),
            socket = Self::SOCKET,
        ));
        this
    }
}

impl Drop for Remapped {
    fn drop(&mut self) {
        sh("systemctl stop hotseat-remapped; rm -rf /var/tmp/hotseat-remapped");
    }
}

#[test]
fn docker_with_users_of_its_own() {
    let _engine = Remapped::start();
    let name = name("remapped");
    let engine = format!("docker --host unix://{}", Remapped::SOCKET);
    // Changing the owners of a whole image would take minutes: this one is empty.
    let options = "--network none --volume /usr:/usr:ro";
    let mut row = followed(&engine, &name, options, IMAGE);
    row.configuration = "follow = true\ndocker_socket = \"/run/hotseat-remapped.sock\"";
    let session = run(&row);
    assert_eq!(session["container"]["reference"], format!("docker:{name}"));
}

#[test]
fn nspawn_rootful() {
    if skipped() {
        return;
    }
    let session = nspawn("hotseat-nspawn", "");
    assert_eq!(session["container"]["reference"], "machine:hotseat-nspawn");
    assert_eq!(session["container"]["shares_cgroup"], false);
}

#[test]
fn nspawn_with_users_of_its_own() {
    if skipped() {
        return;
    }
    nspawn("hotseat-nspawn-u", "--private-users=pick --private-users-ownership=map");
}

fn lxc(name: &str, options: &str) -> Value {
    let config = format!(
        "lxc.include = /usr/share/lxc/config/common.conf
         lxc.uts.name = {name}
         lxc.rootfs.path = dir:/run/{name}
         lxc.net.0.type = empty
         lxc.apparmor.profile = unconfined
         lxc.mount.entry = tmpfs run tmpfs rw 0 0
         lxc.init.cmd = /run/{name}/hotseat-main
         {options}"
    );
    let row = Row {
        start: format!(
            "mkdir -p /run/{name} /var/lib/lxc/{name}
             mount --bind {CONSUMERS} /run/{name}
             echo '{config}' | sed 's/^ *//' > /var/lib/lxc/{name}/config
             lxc-start --name {name} --logfile /run/{name}.log -- sh -c '{MAIN}' || {{
                 cat /run/{name}.log; false; }}"
        ),
        reference: format!("echo lxc:{name}"),
        restart: format!(
            "lxc-stop --kill --name {name}; lxc-start --name {name} -- sh -c '{MAIN}'"
        ),
        stop: format!(
            "lxc-stop --kill --name {name}; umount /run/{name}; rm -r /var/lib/lxc/{name}"
        ),
        configuration: "",
    };
    run(&row)
}

#[test]
fn lxc_rootful() {
    if skipped() {
        return;
    }
    let session = lxc("hotseat-lxc", "");
    assert_eq!(session["container"]["reference"], "lxc:hotseat-lxc");
    assert_eq!(session["container"]["shares_cgroup"], false);
}

#[test]
fn lxc_with_users_of_its_own() {
    if skipped() {
        return;
    }
    // Ranges that root may use: newuidmap asks (subuid(5)).
    for file in ["/etc/subuid", "/etc/subgid"] {
        sh(&format!("grep -q ^root: {file} || echo root:400000:65536 >> {file}"));
    }
    lxc(
        "hotseat-lxc-u",
        "lxc.rootfs.options = idmap=container
         lxc.include = /usr/share/lxc/config/userns.conf
         lxc.idmap = u 0 400000 65536
         lxc.idmap = g 0 400000 65536",
    );
}

/// Lets everybody see the folder: bubblewrap's user, root too, is a stranger there in its user namespace.
pub(crate) fn open_the_folder() {
    sh("chmod o+x /home/player");
}

fn bubblewrap(name: &str, options: &str) -> Value {
    open_the_folder();
    let start = format!(
        "install -o player /dev/null /run/{name}
         systemd-run --quiet --collect --unit {name} {options} sh -c 'exec bwrap --info-fd 3 --unshare-all \
             --ro-bind {CONSUMERS} / --dev /dev --proc /proc --tmpfs /run sh -c \"{MAIN}\" 3> /run/{name}'"
    );
    let stop = format!(
        "systemctl kill --signal KILL {name}; rm /run/{name}; {}",
        until(&format!("! systemctl --quiet is-active {name}"))
    );
    // Its number comes before its mounts.
    let there = format!(
        "pid=$(grep -o \"child-pid.*\" /run/{name} | grep -o \"[0-9]*\") && test -p /proc/$pid/root/run/out && echo pid:$pid"
    );
    run(&Row {
        restart: format!("{stop}{start}"),
        start,
        reference: until(&there),
        stop,
        configuration: "",
    })
}

#[test]
fn bubblewrap_of_root() {
    if skipped() {
        return;
    }
    let session = bubblewrap("hotseat-bwrap", "");
    assert_eq!(session["container"]["shares_cgroup"], true);
}

#[test]
fn bubblewrap_of_a_user() {
    if skipped() {
        return;
    }
    let session = bubblewrap("hotseat-bwrap-u", "--uid player");
    assert_eq!(session["container"]["shares_cgroup"], true);
}
