//! Turning what rooms know into what pages show: people, days, moments, sizes, refusals.

use std::collections::HashMap;

use jiff::{Zoned, civil::Date, tz::TimeZone};

use super::{
    caller::{hue, initial},
    view::parts::{Due, DueState, Moment, Person, Shape, Status},
    words::Words,
};
use crate::{
    clock::Timestamp,
    ids::UserId,
    people::{Member, members},
    store::{Read, StoreError, history::Actor},
    text::{CivilDate, Message},
    work::{self, StatusKind},
};

/// A message in words.
#[must_use]
pub fn say(words: &Words, message: &Message) -> String {
    let values: Vec<(&str, &str)> = message.args.iter().map(|(name, value)| (*name, value.as_str())).collect();
    words.fill(message.key, &values)
}

/// Days and moments in the reader's words, seen from one moment.
pub struct When<'w> {
    pub words: &'w Words,
    pub zone: &'w TimeZone,
    pub now: Timestamp,
}

impl When<'_> {
    /// Today's date where the appliance is.
    #[must_use]
    pub fn today(&self) -> Date {
        self.now.in_zone(self.zone).date()
    }

    fn month_day(&self, date: Date, key: &str, time: &str) -> String {
        let month = self.words.text(&format!("when-month-{}", date.month()));
        let weekday = self.words.text(&format!("when-weekday-{}", date.weekday().to_monday_one_offset()));
        let (day, year) = (date.day().to_string(), date.year().to_string());
        self.words
            .fill(key, &[("month", &month), ("day", &day), ("weekday", &weekday), ("time", time), ("year", &year)])
    }

    /// 11月24日（火）; the year is added where it is not this one.
    #[must_use]
    pub fn day(&self, date: Date) -> String {
        let key = if date.year() == self.today().year() { "when-day-weekday" } else { "when-year-day" };
        self.month_day(date, key, "")
    }

    /// A moment, as short as it can be said.
    #[must_use]
    pub fn moment(&self, at: Timestamp) -> Moment {
        let zoned: Zoned = at.in_zone(self.zone);
        let passed = self.now.since(at).as_secs();
        let (date, today) = (zoned.date(), self.today());
        let time = zoned.strftime("%H:%M").to_string();
        let text = if at > self.now || passed < 60 {
            self.words.text("when-now")
        } else if passed < 3600 {
            self.words.with("when-minutes", "n", passed / 60)
        } else if date == today {
            time
        } else if today.yesterday().is_ok_and(|yesterday| date == yesterday) {
            format!("{} {time}", self.words.text("when-yesterday"))
        } else if date.year() == today.year() {
            self.month_day(date, "when-day-time", &time)
        } else {
            self.month_day(date, "when-year-day", &time)
        };
        Moment { text, iso: at.rfc3339() }
    }

    /// A moment with day and time, for tables; with the year, if that is another.
    #[must_use]
    pub fn stamp(&self, at: Timestamp) -> String {
        let zoned = at.in_zone(self.zone);
        let (date, time) = (zoned.date(), zoned.strftime("%H:%M").to_string());
        if date.year() == self.today().year() {
            self.month_day(date, "when-day-time", &time)
        } else {
            format!("{} {time}", self.month_day(date, "when-year-day", ""))
        }
    }

    /// A due day; on a card that is done, a passed day is no reproach.
    #[must_use]
    pub fn due(&self, due: CivilDate, done: bool, full: bool) -> Due {
        let (date, today) = (due.0, self.today());
        let late = (today - date).get_days();
        let state = match late {
            _ if done => DueState::Later,
            0 => DueState::Today,
            1.. => DueState::Overdue,
            _ => DueState::Later,
        };
        let text = match late {
            0 => self.words.text("when-today"),
            -1 => self.words.text("when-tomorrow"),
            _ if full || date.year() != today.year() => self.day(date),
            _ => self.month_day(date, "when-day", ""),
        };
        let note = if state == DueState::Overdue { self.words.with("when-overdue", "n", late) } else { String::new() };
        Due { state, text, note }
    }
}

/// The people of an organization, by id.
pub struct People {
    by_id: HashMap<UserId, Member>,
}

impl People {
    /// Everybody who ever was a member.
    ///
    /// # Errors
    /// What the store says.
    pub fn of(view: &dyn Read) -> Result<Self, StoreError> {
        Ok(Self { by_id: members::all(view)?.into_iter().map(|member| (member.user, member)).collect() })
    }

    /// Somebody as an avatar shows them.
    #[must_use]
    pub fn person(&self, user: UserId) -> Person {
        let name = self.by_id.get(&user).map_or_else(|| "—".to_owned(), |member| member.name.clone());
        Person { id: user.to_string(), initial: initial(&name), name, hue: hue(user) }
    }

    /// Everybody who is present.
    pub fn present(&self) -> impl Iterator<Item = &Member> {
        self.by_id.values().filter(|member| member.left_at.is_none())
    }

    /// An actor's name: a person's, an endpoint's or token's kind, the appliance's.
    #[must_use]
    pub fn actor(&self, words: &Words, actor: Actor) -> String {
        match actor {
            Actor::User(user) => self.person(user).name,
            Actor::Hook(_) => words.text("actor-hook"),
            Actor::Token(_) => words.text("actor-token"),
            Actor::Operator(_) => words.text("actor-operator"),
            Actor::System => words.text("actor-system"),
        }
    }
}

/// A status's shape.
#[must_use]
pub fn shape(kind: StatusKind) -> Shape {
    match kind {
        StatusKind::Todo => Shape::Todo,
        StatusKind::Doing => Shape::Doing,
        StatusKind::Review => Shape::Review,
        StatusKind::Waiting => Shape::Waiting,
        StatusKind::Done => Shape::Done,
    }
}

/// A status as pages show it.
#[must_use]
pub fn status(status: &work::Status) -> Status {
    Status { id: status.id.to_string(), name: status.name.clone(), shape: shape(status.kind) }
}

/// A number with its thousands apart: `1,000,000`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes with its unit, in steps of 1,024.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 10.0 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

/// The name of a browser and its system, out of what it calls itself.
#[must_use]
pub fn agent(text: &str) -> String {
    let find =
        |known: &[(&str, &'static str)]| known.iter().find(|(mark, _)| text.contains(mark)).map(|(_, name)| *name);
    let browser = find(&[
        ("Edg/", "Edge"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = find(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} ・ {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => text.chars().take(40).collect(),
    }
}
