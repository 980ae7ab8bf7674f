//! Telling the service manager how the appliance is: the protocol of `sd_notify(3)`, without a library.
//!
//! A service of `Type=notify` sends short texts to a datagram socket that the manager names in `NOTIFY_SOCKET`. Where
//! there is no manager, every call does nothing.

use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

use crate::config::Surroundings;

/// A line to the service manager, if there is one.
#[derive(Debug)]
pub struct Notifier {
    line: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// A notifier for the manager that started this process: `NOTIFY_SOCKET` is a path, or `@` and an abstract name.
    ///
    /// # Errors
    /// If a manager is named that cannot be spoken to: the name is neither form or is too long, or no socket can be made.
    pub fn new(surroundings: &Surroundings) -> io::Result<Self> {
        let line = match surroundings.variable("NOTIFY_SOCKET") {
            Some(name) => {
                let socket = UnixDatagram::unbound()?;
                // A manager whose queue is full must not hold up the appliance.
                socket.set_nonblocking(true)?;
                Some((socket, address(name)?))
            }
            None => None,
        };
        Ok(Self { watchdog: line.as_ref().and_then(|_| watchdog(surroundings)), line })
    }

    /// How often [`Self::watchdog`] should be called, half the time after which the manager restarts the service; none
    /// if it does not watch this process.
    #[must_use]
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The appliance serves.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The appliance has begun to stop.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// The appliance is alive.
    pub fn watchdog(&self) {
        self.send("WATCHDOG=1");
    }

    /// One line that `systemctl status` shows.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace(char::is_control, " ")));
    }

    /// Starting or stopping takes up to this long from now; beyond that the manager may give up.
    pub fn extend_timeout(&self, by: Duration) {
        self.send(&format!("EXTEND_TIMEOUT_USEC={}", by.as_micros()));
    }

    /// A manager that does not listen is its own trouble: the appliance serves on.
    fn send(&self, text: &str) {
        if let Some((socket, address)) = &self.line
            && let Err(error) = socket.send_to_addr(text.as_bytes(), address)
        {
            tracing::warn!(%error, "The service manager did not take {text:?}");
        }
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "NOTIFY_SOCKET is neither a path nor an abstract name")),
    }
}

/// Half of `WATCHDOG_USEC`, if it is meant for this process (`sd_watchdog_enabled(3)`).
fn watchdog(surroundings: &Surroundings) -> Option<Duration> {
    let number = |name| surroundings.variable(name)?.to_str()?.parse::<u64>().ok();
    if number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id())) {
        return None;
    }
    number("WATCHDOG_USEC").filter(|micros| *micros > 0).map(|micros| Duration::from_micros(micros) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(variables: &[(&str, &str)]) -> Surroundings {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Surroundings { variables, ..Surroundings::default() }
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[track_caller]
    fn tells(name: &str, manager: &UnixDatagram) {
        let notifier = Notifier::new(&around(&[("NOTIFY_SOCKET", name)])).unwrap();
        assert_eq!(notifier.watchdog_interval(), None);
        notifier.ready();
        notifier.status("3 organizations\nREADY=0");
        notifier.watchdog();
        notifier.extend_timeout(Duration::from_secs(30));
        notifier.stopping();
        let wanted =
            ["READY=1", "STATUS=3 organizations READY=0", "WATCHDOG=1", "EXTEND_TIMEOUT_USEC=30000000", "STOPPING=1"];
        for want in wanted {
            assert_eq!(heard(manager), want);
        }
    }

    #[test]
    fn a_manager_at_a_path_hears() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        tells(path.to_str().unwrap(), &manager);
    }

    #[test]
    fn a_manager_at_an_abstract_name_hears() {
        let name = format!("workrun-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        tells(&format!("@{name}"), &manager);
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let alone = Notifier::new(&around(&[("WATCHDOG_USEC", "1000000")])).unwrap();
        assert_eq!(alone.watchdog_interval(), None);
        alone.ready();
        let gone = Notifier::new(&around(&[("NOTIFY_SOCKET", "/nowhere/notify")])).unwrap();
        gone.ready();
        assert!(Notifier::new(&around(&[("NOTIFY_SOCKET", "notify")])).is_err());
    }

    #[test]
    fn the_watchdog_is_fed_twice_a_period() {
        let pid = std::process::id().to_string();
        let with = |extra: &[(&str, &str)]| {
            let all: Vec<_> = [("NOTIFY_SOCKET", "@workrun-nobody")].iter().chain(extra).copied().collect();
            Notifier::new(&around(&all)).unwrap().watchdog_interval()
        };
        assert_eq!(with(&[("WATCHDOG_USEC", "30000000")]), Some(Duration::from_secs(15)));
        assert_eq!(with(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", &pid)]), Some(Duration::from_secs(15)));
        assert_eq!(with(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "1")]), None);
        assert_eq!(with(&[("WATCHDOG_USEC", "0")]), None);
    }
}
