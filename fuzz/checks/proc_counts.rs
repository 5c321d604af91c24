//! Files of counters below /proc: never more of anything than there are lines, and each bad line is told once at most.

use nodeward::host::told;
use nodeward::subject::sockstat::Reading as Sockstat;
use nodeward::subject::{
    arp, conntrack, interrupts, netstat, pressure, schedstat, softnet, stat, vmstat,
};

/// Parses the bytes as each of the files.
pub fn check(bytes: &[u8]) {
    let lines = bytes.split(|b| *b == b'\n').count();
    let mut errors = Vec::new();
    assert!(softnet::cpus(bytes, &mut errors).len() + errors.len() <= lines);
    assert!(schedstat::cpus(bytes).len() <= lines);
    for word in ["some", "full"] {
        let told = pressure::total(bytes, word).is_ok();
        let here = bytes.windows(4).any(|four| four == word.as_bytes());
        assert!(here || !told);
    }

    errors.clear();
    let twice = stat::counted(&[bytes, b"\n", bytes].concat(), &mut Vec::new());
    let once = stat::counted(bytes, &mut errors);
    assert!(
        bytes.len() > 1 << 18 || once == twice,
        "the last line of a name counts"
    );
    assert!(errors.len() <= lines);

    errors.clear();
    conntrack::sums(bytes, &mut errors);
    assert!(errors.len() <= lines);

    errors.clear();
    Sockstat::default().add(bytes, true, &mut errors);
    assert!(errors.len() <= lines);

    errors.clear();
    assert!(interrupts::interrupts(bytes, &mut errors).len() + errors.len() <= lines);

    errors.clear();
    let neighbours = arp::entries(bytes, &mut errors);
    assert!(neighbours.values().sum::<u64>() + errors.len() as u64 <= lines as u64);

    errors.clear();
    let mut named = 0;
    vmstat::counts(bytes, &mut errors, |_, name, value| {
        assert!(!name.is_empty() && !value.is_empty());
        named += 1;
        true
    });
    assert!(named + errors.len() <= lines);

    errors.clear();
    let mut fields = 0;
    netstat::pairs(bytes, &mut errors, &mut |_| fields += 1);
    assert!(fields <= bytes.len() && errors.len() <= lines);
    netstat::singles(bytes, &mut |(protocol, _, _)| {
        assert!(protocol.ends_with(b"6"))
    });

    assert!(told(bytes).is_none() || bytes.len() >= 64);
}
