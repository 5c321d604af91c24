//! Sensors under the key of the Zabbix agents.

use super::{Hwmon, Options, Reading, Want};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::parse::float;
use crate::model::pattern::Pattern;
use crate::subject::{Answer, Args, Item, Said};

const NONE: Unsupported = Unsupported::new("Cannot obtain sensor information.");
const NOT_GENERIC: Unsupported =
    Unsupported::new("Generic sensor name must be specified for selected mode.");

pub(super) static KEYS: &[Item<Hwmon>] = &[Item {
    name: "sensor",
    parameters: &["device", "sensor", "mode"],
    help: "A sensor of a chip such as coretemp-isa-0000, such as temp1; with mode avg, max or min both are regular expressions, unless the sensor ends in a digit",
    want: |_, args| match (args.param(0), args.param(1), args.param(2)) {
        ("", ..) => Err(Unsupported::invalid_parameter(1)),
        (_, "", _) => Err(Unsupported::invalid_parameter(2)),
        // So the agents have it, whatever the expression matches.
        (_, sensor, "avg" | "max" | "min")
            if !sensor.ends_with(|last: char| last.is_ascii_alphanumeric()) =>
        {
            Err(NOT_GENERIC)
        }
        (_, _, "" | "avg" | "max" | "min") => Ok(Want { key: true }),
        _ => Err(Unsupported::invalid_parameter(3)),
    },
    answer: Answer::Now(say),
}];

fn say(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let (device, sensor) = (args.param(0), args.param(1));
    // To the agents what ends in a digit is one sensor, whatever the mode.
    let mode = match sensor.ends_with(|last: char| last.is_ascii_digit()) {
        true => "",
        false => args.param(2),
    };
    let patterns = match mode {
        "" => None,
        // What is no expression matches nothing, and the agents do not say so.
        _ => Some(
            Pattern::new(device)
                .ok()
                .zip(Pattern::new(sensor).ok())
                .ok_or(NONE)?,
        ),
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
