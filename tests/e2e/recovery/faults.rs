//! Having the daemon die, and containers.

use std::fs;

use crate::harness::{Container, Daemon, HOTSEAT, Program, sh};

impl Daemon {
    /// Has the daemon die at a fault point, which may have `:kill:N` behind it.
    pub(super) fn arm(&self, fault: &str) {
        let fault = if fault.contains(':') { fault.to_owned() } else { format!("{fault}:kill") };
        fs::write(self.path("fault"), fault).unwrap();
    }

    /// Not any more.
    pub(super) fn disarm(&self) {
        let _ = fs::remove_file(self.path("fault"));
    }

    /// Starts the daemon's process, which is to end by itself, and returns what it said.
    pub(super) fn launch_to_die(&self) -> String {
        let config = self.path("config.toml").display().to_string();
        let fault = format!("HOTSEAT_FAULT=@{}", self.path("fault").display());
        Program::start(&["env", &fault, &*HOTSEAT, "serve", "--config", &config]).rest()
    }
}

impl Container {
    /// Its first process, as numbered here.
    pub(super) fn pid(&self) -> u32 {
        let inspect = format!("docker inspect --format '{{{{.State.Pid}}}}' {}", self.name);
        sh(&inspect).trim().parse().unwrap()
    }

    /// Ends it at once.
    pub(super) fn kill(&self) {
        sh(&format!("docker kill {}", self.name));
    }

    /// Its next life.
    pub(super) fn restart(&self) {
        sh(&format!("docker restart --time 0 {}", self.name));
    }
}
