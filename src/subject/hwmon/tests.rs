//! The room as a whole, over made-up machines.

use super::*;
use crate::subject::tests::captured::Captured;

fn machine() -> Captured {
    let chip = |n: &str, name: &str| format!("sys/devices/platform/x.{n}/hwmon/hwmon{n}/{name}");
    Captured::new(&[
        (&chip("0", "name"), "coretemp\n"),
        (&chip("0", "temp1_input"), "45000\n"),
        (&chip("0", "temp1_label"), "Package \"0\"\n"),
        (&chip("0", "temp1_crit_alarm"), "1\n"),
        (&chip("0", "temp2_input"), "broken\n"),
        (&chip("0", "fan1_input"), "1200\n"),
        (&chip("0", "device"), "->../../../x.0"),
        (&chip("1", "name"), "coretemp\n"),
        (&chip("1", "temp1_input"), "35000\n"),
        (&chip("1", "device"), "->../../../x.1"),
        (
            "sys/devices/platform/x.0/subsystem",
            "->../../../bus/platform",
        ),
        (
            "sys/devices/platform/x.1/subsystem",
            "->../../../bus/platform",
        ),
        (
            "sys/class/hwmon/hwmon0",
            "->../../devices/platform/x.0/hwmon/hwmon0",
        ),
        (
            "sys/class/hwmon/hwmon1",
            "->../../devices/platform/x.1/hwmon/hwmon1",
        ),
        ("sys/class/hwmon/hwmon2", "->../../devices/gone"),
    ])
}

#[test]
fn an_alarm_is_told_as_what_it_is_too() {
    let (page, errors) = machine().page::<Hwmon>(&[]);
    assert!(errors.is_empty(), "{errors:?}");
    for line in [
        "node_hwmon_chip_names{chip=\"platform_x_0\",chip_name=\"coretemp\"} 1\n",
        "node_hwmon_sensor_label{chip=\"platform_x_0\",sensor=\"temp1\",label=\"Package \\\"0\\\"\"} 1\n",
        "node_hwmon_temp_celsius{chip=\"platform_x_0\",sensor=\"temp1\"} 45\n",
        "node_hwmon_temp_crit_alarm_celsius{chip=\"platform_x_0\",sensor=\"temp1\"} 0.001\n",
        "nodeward_hwmon_alarm{chip=\"platform_x_0\",sensor=\"temp1\",alarm=\"crit\"} 1\n",
        "node_hwmon_fan_rpm{chip=\"platform_x_0\",sensor=\"fan1\"} 1200\n",
    ] {
        assert!(page.contains(line), "{line}{page}");
    }
    assert!(!page.contains("temp2"));
}

#[test]
fn patterns_leave_chips_alone_and_sensors_out() {
    let machine = machine();
    let (page, _) = machine.page::<Hwmon>(&[("hwmon.chip-exclude", "x_1")]);
    assert!(page.contains("x_0") && !page.contains("x_1"));
    let (page, _) = machine.page::<Hwmon>(&[("hwmon.sensor-include", "x_0;temp1$")]);
    assert!(page.contains("temp1") && !page.contains("fan1"));
    assert!(!page.contains("x_1\",sensor"), "{page}");
}

#[test]
fn a_key_tells_one_sensor_or_what_many_have_in_common() {
    let machine = machine();
    for (key, expected) in [
        ("sensor[coretemp-isa-0000,temp1]", "45.000000"),
        ("sensor[coretemp-isa-0000,fan1]", "1200.000000"),
        ("sensor[coretemp-isa,^temp,max]", "45.000000"),
        ("sensor[coretemp-isa,^temp,min]", "35.000000"),
        ("sensor[coretemp-isa,^temp,avg]", "40.000000"),
        (
            "sensor[coretemp-isa,temp1]",
            "Cannot obtain sensor information.",
        ),
        (
            "sensor[coretemp-isa-0000,temp2]",
            "Cannot obtain sensor information.",
        ),
        ("sensor", "Invalid first parameter."),
        ("sensor[a]", "Invalid second parameter."),
        (
            "sensor[coretemp-isa,(temp,max]",
            "Cannot obtain sensor information.",
        ),
        (
            "sensor[(,temp.*,max]",
            "Generic sensor name must be specified for selected mode.",
        ),
        ("sensor[a,b,c]", "Invalid third parameter."),
    ] {
        assert_eq!(machine.text::<Hwmon>(key), expected, "{key}");
    }
}

#[test]
fn a_machine_without_sensors_has_none_for_a_key_and_is_none_for_a_page() {
    let text = Captured::new(&[]).text::<Hwmon>("sensor[a,temp1]");
    assert_eq!(text, "Cannot obtain sensor information.");
}
