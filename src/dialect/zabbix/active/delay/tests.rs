//! What the manual says of custom intervals, and what must hold of any.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

/// Monday, 2 November 2026, 00:00 UTC.
const MONDAY: i64 = 1_793_577_600;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

fn delay(text: &str) -> Delay {
    Delay::parse(text).unwrap_or_else(|why| panic!("{why}"))
}

/// The next times from a Monday's midnight on, as day, hour, minute and second.
fn times(text: &str, many: usize) -> Vec<String> {
    let (delay, zone, mut at) = (delay(text), TimeZone::UTC, MONDAY - 1);
    let mut next = || {
        at = delay.next(0, at, &zone)?;
        let after = at - MONDAY;
        let (day, second) = (after / DAY, after % DAY);
        let clock = (second / HOUR, second / 60 % 60, second % 60);
        Some(format!(
            "{day} {:02}:{:02}:{:02}",
            clock.0, clock.1, clock.2
        ))
    };
    (0..many).map_while(|_| next()).collect()
}

#[test]
fn plain_intervals_have_suffixes_and_an_end() {
    for (text, seconds) in [
        ("30", 30),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("1d", 86_400),
    ] {
        assert_eq!(delay(text), Delay::every(seconds), "{text}");
    }
    for text in [
        "",
        "0",
        "1x",
        "s",
        "-1",
        "1.5m",
        "86401",
        "1w",
        "25h",
        "1m ",
        "99999999999999999999",
    ] {
        assert!(Delay::parse(text).is_err(), "{text}");
    }
}

#[test]
fn an_interval_counts_from_1970_and_items_are_spread_over_it() {
    let (delay, zone) = (delay("1m"), TimeZone::UTC);
    assert_eq!(delay.next(0, MONDAY, &zone), Some(MONDAY + 60));
    assert_eq!(delay.next(0, MONDAY - 1, &zone), Some(MONDAY));
    assert_eq!(delay.next(1017, MONDAY, &zone), Some(MONDAY + 57));
    assert_eq!(delay.next(1017, MONDAY + 57, &zone), Some(MONDAY + 117));
}

/// The examples of the manual's table.
#[test]
fn scheduled_times_are_those_of_the_manual() {
    for (text, expected) in [
        ("0;m0-59", vec!["0 00:00:00", "0 00:01:00", "0 00:02:00"]),
        (
            "0;h9-17/2",
            vec![
                "0 09:00:00",
                "0 11:00:00",
                "0 13:00:00",
                "0 15:00:00",
                "0 17:00:00",
                "1 09:00:00",
            ],
        ),
        ("0;m0,30", vec!["0 00:00:00", "0 00:30:00", "0 01:00:00"]),
        ("0;m/30", vec!["0 00:00:00", "0 00:30:00", "0 01:00:00"]),
        ("0;m/5", vec!["0 00:00:00", "0 00:05:00", "0 00:10:00"]),
        (
            "0;wd1-5h9",
            vec![
                "0 09:00:00",
                "1 09:00:00",
                "2 09:00:00",
                "3 09:00:00",
                "4 09:00:00",
                "7 09:00:00",
            ],
        ),
        (
            "0;wd6h9-10",
            vec!["5 09:00:00", "5 10:00:00", "12 09:00:00"],
        ),
        (
            "0;h9,10,11",
            vec!["0 09:00:00", "0 10:00:00", "0 11:00:00", "1 09:00:00"],
        ),
        ("0;md1h9m30", vec!["29 09:30:00", "60 09:30:00"]),
        ("0;md1wd2h9m30", vec!["29 09:30:00"]),
        ("0;h9m/30", vec!["0 09:00:00", "0 09:30:00", "1 09:00:00"]),
        (
            "0;h9m0-59/30",
            vec!["0 09:00:00", "0 09:30:00", "1 09:00:00"],
        ),
        (
            "0;h9,10m/30",
            vec![
                "0 09:00:00",
                "0 09:30:00",
                "0 10:00:00",
                "0 10:30:00",
                "1 09:00:00",
            ],
        ),
        ("0;h9-10m30", vec!["0 09:30:00", "0 10:30:00", "1 09:30:00"]),
        (
            "0;h9m10-40/30",
            vec!["0 09:10:00", "0 09:40:00", "1 09:10:00"],
        ),
        (
            "0;h9-12,15m0s30",
            vec![
                "0 09:00:30",
                "0 10:00:30",
                "0 11:00:30",
                "0 12:00:30",
                "0 15:00:30",
            ],
        ),
        ("0;h9-12s30", vec!["0 09:00:30", "0 09:01:30", "0 09:02:30"]),
        (
            "0;h9m/30;h10",
            vec!["0 09:00:00", "0 09:30:00", "0 10:00:00", "1 09:00:00"],
        ),
        ("0;wd1-5", vec!["0 00:00:00", "1 00:00:00"]),
        ("0;h/02", vec!["0 00:00:00", "0 02:00:00"]),
    ] {
        assert_eq!(times(text, expected.len()), expected, "{text}");
    }
}

#[test]
fn what_is_no_interval_is_refused() {
    for text in [
        "1m;",
        "1m;;h9",
        "1m;h",
        "1m;hm",
        "1m;h24",
        "1m;h9-8",
        "1m;h-9",
        "1m;h9-",
        "1m;h/24",
        "1m;m/0",
        "1m;m/60",
        "1m;md0",
        "1m;md32",
        "1m;wd8",
        "1m;h9 m0",
        "1m;s0m0",
        "1m;x",
        "1m;h009",
        "1m;50s",
        "1m;50s/8,00:00-24:00",
        "1m;50s/5-1,00:00-24:00",
        "1m;50s/1-5",
        "1m;50s/1-5,9-18",
        "1m;50s/1-5,09:00-09:00",
        "1m;50s/1-5,09:60-10:00",
        "1m;50s/1-5,00:00-24:01",
        "1m;50s/1-5,009:00-18:00",
        "0;0/1-7,00:00-24:00",
        "1m;1w/1-7,00:00-24:00",
        ";1m",
    ] {
        assert!(Delay::parse(text).is_err(), "{text}");
    }
    assert!(Delay::parse(&format!("1m{}", ";h9".repeat(400))).is_err());
}

#[test]
fn a_flexible_period_has_its_own_interval_and_ends_before_its_end() {
    let (delay, zone) = (
        delay("10m;1m/1-5,09:00-18:00;0/7,00:00-24:00"),
        TimeZone::UTC,
    );
    for (at, interval) in [
        (MONDAY, 600),
        (MONDAY + 9 * HOUR - 1, 600),
        (MONDAY + 9 * HOUR, 60),
        (MONDAY + 18 * HOUR - 1, 60),
        (MONDAY + 18 * HOUR, 600),
        (MONDAY + 5 * DAY + 9 * HOUR, 600),
        (MONDAY + 6 * DAY, 0),
        (MONDAY + 7 * DAY - 1, 0),
        (MONDAY + 7 * DAY, 600),
    ] {
        assert_eq!(delay.at(at, &zone), interval, "{}", at - MONDAY);
    }
    // What would be due beyond the beginning of a period goes by the interval of that period, from its first second on.
    assert_eq!(
        delay.next(30, MONDAY + 9 * HOUR - 60, &zone),
        Some(MONDAY + 9 * HOUR + 30)
    );
    assert_eq!(
        delay.next(0, MONDAY + 18 * HOUR - 60, &zone),
        Some(MONDAY + 18 * HOUR)
    );
    // Nothing on Sunday.
    assert_eq!(
        delay.next(0, MONDAY + 6 * DAY - 1, &zone),
        Some(MONDAY + 7 * DAY)
    );
    // Of several that meet the shortest holds.
    let both = super::Delay::parse("10m;5m/1-7,00:00-24:00;1m/1,08:00-09:00").unwrap();
    assert_eq!(both.at(MONDAY + 8 * HOUR, &zone), 60);
    assert_eq!(both.at(MONDAY + 9 * HOUR, &zone), 300);
}

#[test]
fn only_within_its_hours_and_scheduled_times_beside() {
    assert_eq!(
        times("0;30m/1-5,09:00-10:00", 4),
        ["0 09:00:00", "0 09:30:00", "1 09:00:00", "1 09:30:00"]
    );
    assert_eq!(
        times("0;30m/1,09:00-10:00;h12", 4),
        ["0 09:00:00", "0 09:30:00", "0 12:00:00", "1 12:00:00"]
    );
}

#[test]
fn hours_are_those_of_the_place_over_a_change_of_its_clock() {
    let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let scheduled = delay("0;h9");
    assert_eq!(scheduled.next(0, MONDAY, &berlin), Some(MONDAY + 8 * HOUR));
    // 28 March 2027: from 02:00 CET to 03:00 CEST.
    let spring = 1_806_192_000;
    assert_eq!(scheduled.next(0, spring, &berlin), Some(spring + 7 * HOUR));
    assert_eq!(
        delay("0;h2m30").next(0, spring, &berlin),
        Some(spring + HOUR + 1800)
    );
    let flexible = delay("0;10m/1-7,09:00-10:00");
    assert_eq!(flexible.next(0, spring, &berlin), Some(spring + 7 * HOUR));
}

fn zones() -> impl Strategy<Value = TimeZone> {
    prop_oneof![
        Just(TimeZone::UTC),
        Just(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()),
        Just(TimeZone::posix("<+1245>-12:45").unwrap()),
    ]
}

fn flexible() -> impl Strategy<Value = String> {
    let day = 1..=7u8;
    (0..=3600u64, day.clone(), day, 0..48u64, 1..=48u64).prop_map(|(interval, a, b, from, long)| {
        let (first, last) = (a.min(b), a.max(b));
        let to = (from + long).min(48);
        let clock = |half: u64| format!("{:02}:{:02}", half / 2, half % 2 * 30);
        format!("{interval}s/{first}-{last},{}-{}", clock(from), clock(to))
    })
}

proptest! {
    #[test]
    fn never_panics(text in "[0-9smhdw;/,:-]{0,40}", now in -1_000_000_000_000i64..1_000_000_000_000) {
        if let Ok(delay) = Delay::parse(&text) {
            let next = delay.next(7, now, &TimeZone::UTC);
            prop_assert!(next.is_none_or(|next| next > now));
        }
    }

    /// Nobody is asked twice in a second, and each time is one that an interval or a schedule has.
    #[test]
    fn what_is_due_next_is_due_by_a_rule_that_holds_then(
        base in 0..=7200u64,
        periods in proptest::collection::vec(flexible(), 0..4),
        hour in proptest::option::of(0..24u8),
        spread in 0..100_000u64,
        now in MONDAY..MONDAY + 400 * DAY,
        zone in zones(),
    ) {
        let mut text = format!("{base}s");
        periods.iter().for_each(|period| text.push_str(&format!(";{period}")));
        hour.iter().for_each(|hour| text.push_str(&format!(";h{hour}")));
        let Ok(delay) = Delay::parse(&text) else { return Ok(()) };
        let mut at = now;
        for _ in 0..8 {
            let Some(next) = delay.next(spread, at, &zone) else { break };
            prop_assert!(next > at, "{}", text);
            let interval = delay.at(next, &zone);
            let by_interval = interval > 0 && next.unsigned_abs() % interval == spread % interval;
            let local = local(next, &zone).unwrap();
            let on_the_hour = i64::from(local.minute()) + i64::from(local.second()) == 0;
            let by_schedule = hour.is_some_and(|hour| i8::try_from(hour) == Ok(local.hour())) && on_the_hour;
            prop_assert!(by_interval || by_schedule, "{} {}", text, next);
            // Nothing is left out: a walk over the seconds finds none before it.
            if next - at <= 200 {
                for second in at + 1..next {
                    let interval = delay.at(second, &zone);
                    prop_assert!(interval == 0 || second.unsigned_abs() % interval != spread % interval, "{} {}", text, second);
                }
            }
            at = next;
        }
    }
}
