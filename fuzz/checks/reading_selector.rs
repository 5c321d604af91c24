//! Selectors of `reading` checks: what parses says the same when it is written again, and a value in quotes is taken for itself.

use nodeward::check::reading::Selector;
use nodeward::dialect::prometheus::Sample;

/// Parses the bytes as a selector, and a selector with the bytes as a label's value.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<Selector>() {
        Ok(selector) => {
            assert!(!selector.name.is_empty());
            let again = selector.to_string().parse::<Selector>();
            assert_eq!(again.as_ref(), Ok(&selector));
            for value in ["", "/", &text] {
                let taken = selector.takes(&sample(value));
                assert_eq!(
                    again.as_ref().map(|again| again.takes(&sample(value))),
                    Ok(taken)
                );
            }
        }
        Err(why) => assert!(why.to_string().len() < 64 << 10),
    }
    let quoted = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    let Ok(exactly) = format!("m{{mountpoint=\"{quoted}\"}}").parse::<Selector>() else {
        assert!(quoted.len() > 4000, "{text:?} cannot be written in quotes");
        return;
    };
    assert!(exactly.takes(&sample(&text)), "{text:?}");
    assert!(!exactly.takes(&sample(&format!("{text}x"))), "{text:?}");
}

fn sample(value: &str) -> Sample {
    Sample {
        labels: vec![("mountpoint", value.to_owned())],
        value: 0.0,
    }
}
