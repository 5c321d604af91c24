//! Bodies that no source sends.

use super::*;

fn firing(labels: &str) -> String {
    format!(r#"{{"status":"firing","startsAt":"2026-11-22T16:43:32Z","labels":{labels}}}"#)
}

#[test]
fn what_is_no_json_is_refused_and_the_refusal_says_where() {
    for kind in Kind::ALL {
        for body in [
            "",
            " ",
            "null",
            "1",
            "\"x\"",
            "[]",
            "{",
            "{}",
            r#"{"alerts":null}"#,
            r#"{"alerts":{}}"#,
            r#"{"alerts":NaN}"#,
            r#"{"alerts":[1e999]}"#,
            r#"{"alerts":[]} x"#,
            r#"{"alerts":[],"alerts":[]}"#,
            "\u{0}",
            r#"{'alerts':[]}"#,
        ] {
            let error = read(kind, body.as_bytes()).unwrap_err();
            assert!(
                matches!(error, Unreadable::Form { .. }),
                "{kind:?} {body}: {error}"
            );
            assert!(error.to_string().len() < 300, "{error}");
        }
    }
}

#[test]
fn every_cut_of_a_body_is_refused_or_is_the_body() {
    for end in 0..PART.len() {
        assert!(
            read(Kind::Alertmanager, &PART.as_bytes()[..end]).is_err(),
            "{end}"
        );
    }
}

#[test]
fn nesting_without_end_neither_overflows_nor_hurts_what_stands_beside_it() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let good = firing(r#"{"a":"b"}"#);
    let body = format!(r#"{{"extra":{deep},"alerts":[{good}]}}"#);
    assert_eq!(
        read(Kind::Alertmanager, body.as_bytes())
            .unwrap()
            .alerts
            .len(),
        1
    );
    for body in [
        format!(
            r#"{{"alerts":[{}]}}"#,
            firing(&format!(r#"{{"a":{deep}}}"#))
        ),
        format!(r#"{{"alerts":[{deep}]}}"#),
        format!(r#"{{"alerts":{deep}}}"#),
        deep.clone(),
    ] {
        for kind in Kind::ALL {
            assert!(read(kind, body.as_bytes()).is_err());
        }
    }
}

#[test]
fn two_values_under_one_name_are_refused() {
    let twice = [
        firing(r#"{"a":"b","a":"c"}"#),
        r#"{"status":"firing","status":"resolved","startsAt":"2026-11-22T16:43:32Z","labels":{"a":"b"}}"#.into(),
    ];
    for alert in twice {
        let body = format!(r#"{{"alerts":[{alert}]}}"#);
        assert!(read(Kind::Alertmanager, body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn a_body_with_too_much_in_it_is_refused_whole() {
    let alert = firing(r#"{"a":"b"}"#);
    let body = |count: usize| format!(r#"{{"alerts":[{}]}}"#, vec![alert.clone(); count].join(","));
    assert_eq!(
        read(Kind::Alertmanager, body(MOST_ALERTS).as_bytes())
            .unwrap()
            .alerts
            .len(),
        MOST_ALERTS
    );
    let over = read(Kind::Alertmanager, body(MOST_ALERTS + 1).as_bytes());
    assert_eq!(over, Err(Unreadable::TooMany));
    let empty = format!(r#"{{"alerts":[{}]}}"#, vec!["0"; 200_000].join(","));
    assert_eq!(
        read(Kind::Alertmanager, empty.as_bytes()),
        Err(Unreadable::TooMany)
    );
    let labels: Vec<_> = (0..MOST_LABELS).map(|n| format!(r#""{n}":"x""#)).collect();
    let alert = firing(&format!("{{{}}}", labels.join(",")));
    let many = format!(
        r#"{{"alerts":[{}]}}"#,
        vec![alert; MOST_PAIRS / MOST_LABELS + 1].join(",")
    );
    assert_eq!(
        read(Kind::Alertmanager, many.as_bytes()),
        Err(Unreadable::TooMuch)
    );
    let one: Vec<_> = (0..50_000).map(|n| format!(r#""{n}":"x""#)).collect();
    let one = format!(
        r#"{{"alerts":[{}]}}"#,
        firing(&format!("{{{}}}", one.join(",")))
    );
    assert_eq!(
        read(Kind::Alertmanager, one.as_bytes()),
        Err(Unreadable::Nothing {
            why: LeftOut::ManyLabels,
            alerts: 1
        })
    );
}

#[test]
fn bytes_that_are_no_text_do_not_lose_the_alert() {
    let mut body = format!(r#"{{"alerts":[{}]}}"#, firing(r#"{"a":"b?"}"#)).into_bytes();
    let at = body.iter().position(|b| *b == b'?').unwrap();
    body[at] = 0xff;
    let delivery = read(Kind::Alertmanager, &body).unwrap();
    assert_eq!(delivery.alerts[0].labels["a"], "b\u{fffd}");
}
