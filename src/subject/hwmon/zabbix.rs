//! Sensors under the key of the Zabbix agents.

use super::{Hwmon, Options, Reading, Want};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::parse::float;
use crate::model::pattern::Pattern;
use crate::subject::{Answer, Args, Item, Said};

const NONE: Unsupported = Unsupported::new("Cannot obtain sensor information.");

pub(super) static KEYS: &[Item<Hwmon>] = &[Item {
    name: "sensor",
    parameters: &["device", "sensor", "mode"],
    help: "A sensor of a chip such as coretemp-isa-0000, such as temp1; with mode avg, max or min both are regular expressions",
    want: |_, args| match (args.param(0), args.param(1), args.param(2)) {
        ("", ..) => Err(Unsupported::invalid_parameter(1)),
        (_, "", _) => Err(Unsupported::invalid_parameter(2)),
        (device, sensor, "avg" | "max" | "min") => {
            let bad = |at| move |_| Unsupported::invalid_parameter(at);
            Pattern::new(device).map_err(bad(1))?;
            Pattern::new(sensor).map_err(bad(2))?;
            Ok(Want { key: true })
        }
        (_, _, "") => Ok(Want { key: true }),
        _ => Err(Unsupported::invalid_parameter(3)),
    },
    answer: Answer::Now(say),
}];

fn say(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let (device, sensor, mode) = (args.param(0), args.param(1), args.param(2));
    let patterns = match mode {
        "" => None,
        _ => Pattern::new(device).ok().zip(Pattern::new(sensor).ok()),
    };
    let mut values = Vec::new();
    for chip in &reading.0 {
        let agent = &*chip.names.agent;
        let is = |sensor: &str| match &patterns {
            Some((device, wanted)) => device.matches(agent) && wanted.matches(sensor),
            None => agent == device && sensor == args.param(1),
        };
        for (_, found) in chip.sensors.iter().filter(|(name, _)| is(name)) {
            let value = found
                .element("input")
                .and_then(|text| float(text.as_bytes()));
            // Rotations come as they are, all else in thousandths.
            let scale = if found.kind == "fan" { 1.0 } else { 1000.0 };
            values.extend(value.map(|value| value / scale));
        }
    }
    let value = match mode {
        "max" => values.iter().copied().reduce(f64::max),
        "min" => values.iter().copied().reduce(f64::min),
        "avg" => mean(&values),
        _ => values.first().copied(),
    };
    value.map(Value::from).ok_or(NONE)
}

#[expect(clippy::cast_precision_loss, reason = "a mean of a few sensors")]
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
