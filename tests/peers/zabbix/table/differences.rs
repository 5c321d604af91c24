//! Where nodeward does not answer as the agents do, and why: the list that docs/ZABBIX.md has in words.
//!
//! Where the two releases differ from one another, nodeward answers as 7.0.

use super::Difference;
use crate::zabbix_server::Release;

/// Keys that agents of 6.0 lack, whatever their parameters.
pub const SINCE_7: &[&str] = &["proc.get", "system.sw.os.get", "system.sw.packages.get"];

pub const DIFFERENCES: &[Difference] = &[
    anywhere("agent.version", "it says which program answers"),
    anywhere("net.if.get", LATER),
    anywhere("vfs.dev.get", LATER),
    anywhere("vfs.file.contents[/etc/passwd]", UNLISTED),
    anywhere("vfs.file.cksum[/etc/group]", UNLISTED),
    anywhere("vfs.file.md5sum[/etc/group]", UNLISTED),
    anywhere("vfs.file.size[/etc/group,lines]", UNLISTED),
    anywhere("vfs.file.get[/etc/group]", UNLISTED),
    anywhere("vfs.file.owner[/etc/group]", UNLISTED),
    anywhere("vfs.file.permissions[/etc/group]", UNLISTED),
    anywhere("vfs.dir.count[/etc]", UNLISTED),
    anywhere("vfs.dir.size[/etc]", UNLISTED),
    anywhere("vfs.file.contents[{dir}/../escape]", UNLISTED),
    anywhere("vfs.file.contents[{dir}/escape]", UNLISTED),
    anywhere(
        "vfs.file.contents[{dir}/latin,ISO-8859-1]",
        "all text is read as UTF-8, whatever the encoding",
    ),
    only(
        Release::Seven,
        "vfs.file.contents[{dir}/large]",
        "at most 64 KiB, as agents of 6.0 have it; those of 7.0 tell 16 MiB",
    ),
    only(Release::Six, "system.hostname[fqdn]", "a type of 7.0"),
    only(Release::Six, "system.hostname[fqdn,lower]", "a type of 7.0"),
    only(Release::Six, "proc.num[,,,(]", SILENT),
    only(Release::Six, "proc.num[,no-such-user,,(]", SILENT),
    only(Release::Six, "proc.mem[,,,(]", SILENT),
    anywhere(
        "proc.cpu.util[,,,(]",
        "what is no regular expression is an error, as in other keys; the classic agent says 0, and agent 2 has words of its own",
    ),
    anywhere("net.tcp.port[127.0.0.2,{port}]", ELSEWHERE),
    anywhere("net.tcp.service[http,127.0.0.2,{port}]", ELSEWHERE),
    anywhere("net.udp.service[ntp]", UDP),
    anywhere("net.udp.service.perf[ntp]", UDP),
    anywhere(
        "system.hw.devices",
        "the agents run lspci and lsusb for it, and nodeward runs no program for a key",
    ),
    anywhere("vfs.file.regexp[/etc/passwd,root]", DISCLOSES),
    anywhere("vfs.file.regmatch[/etc/passwd,root]", DISCLOSES),
    anywhere("vfs.dir.get[/etc/apt]", DISCLOSES),
    anywhere("web.page.get[127.0.0.1,,1]", REQUESTS),
    anywhere("web.page.perf[127.0.0.1,,1]", REQUESTS),
    anywhere("web.page.regexp[127.0.0.1,,1,x]", REQUESTS),
    anywhere("net.dns[127.0.0.1,localhost,A,1,1]", NO_STATE),
    anywhere("net.dns.record[127.0.0.1,localhost,A,1,1]", NO_STATE),
    anywhere(
        "zabbix.stats[127.0.0.1,1]",
        "tier 3: the server's own affairs",
    ),
    anywhere("log[/etc/passwd]", LOGS),
    anywhere("logrt[/etc/passwd]", LOGS),
];

const fn anywhere(key: &'static str, why: &'static str) -> Difference {
    Difference {
        key,
        only: None,
        why,
    }
}

const fn only(release: Release, key: &'static str, why: &'static str) -> Difference {
    Difference {
        key,
        only: Some(release),
        why,
    }
}

const LATER: &str = "a key of agents after 7.0, in the place of which nodeward can be too";
const UNLISTED: &str = "nodeward tells of files that are listed, and the agents of all";
const ELSEWHERE: &str = "nodeward connects to listed addresses, and the agents to all";
const SILENT: &str =
    "what is no regular expression is an error, as in 7.0; in 6.0 it matches nothing";
const UDP: &str =
    "no state of this host: a check of nodeward can run a program that asks the clock";
const DISCLOSES: &str = "tier 3: discloses files";
const REQUESTS: &str = "tier 3: requests to anywhere";
const NO_STATE: &str = "tier 3: no state of this host";
const LOGS: &str = "tier 3: logs are shipped by other programs";
