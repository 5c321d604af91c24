//! What the NFS client counts: /proc/net/rpc/nfs (fs/nfs/client.c, net/sunrpc/stats.c of the kernel).

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Family, Page};
use crate::host::Pass;
use crate::subject::rpc::calls::{CLIENT_4, VERSION_2, VERSION_3};
use crate::subject::rpc::{Columns, Count, Counted, Line, Lines};
use crate::subject::{Absent, Asker, Invalid, Machine, NoOptions, Past, Subject, Taken};

/// The subject.
pub struct Nfs;

crate::families! { Nfs:
    PACKETS counter "node_nfs_packets_total" ["protocol"] "Packets of the NFS client";
    CONNECTIONS counter "node_nfs_connections_total" [] "TCP connections of the NFS client";
    RPCS counter "node_nfs_rpcs_total" [] "Calls the NFS client made";
    RETRANSMISSIONS counter "node_nfs_rpc_retransmissions_total" [] "Calls the NFS client sent again";
    REFRESHES counter "node_nfs_rpc_authentication_refreshes_total" [] "Credentials the NFS client renewed";
    REQUESTS counter "node_nfs_requests_total" ["proto", "method"] "Calls the NFS client made, by version and method";
}
crate::instruments! { Nfs:
    NETWORK counter int "nfs.client.net.count" "{record}" ["network.transport"] "Packets of the NFS client";
    ACCEPTED counter int "nfs.client.net.tcp.connection.accepted" "{connection}" [] "TCP connections of the NFS client";
    CALLS counter int "nfs.client.rpc.count" "{request}" [] "Calls the NFS client made";
    AGAIN counter int "nfs.client.rpc.retransmit.count" "{retransmit}" [] "Calls the NFS client sent again";
    RENEWED counter int "nfs.client.rpc.authrefresh.count" "{authrefresh}" [] "Credentials the NFS client renewed";
    PROCEDURES counter int "nfs.client.procedure.count" "{procedure}" ["onc_rpc.version" int, "onc_rpc.procedure.name"] "Calls of version 3 the NFS client made";
    OPERATIONS counter int "nfs.client.operation.count" "{operation}" ["onc_rpc.version" int, "nfs.operation.name"] "Operations of version 4 the NFS client made";
}

const LINES: [Line; 5] = [
    Line("net", Count::Of(4)),
    Line("rpc", Count::Of(3)),
    Line("proc2", Count::Said(18)),
    Line("proc3", Count::Said(22)),
    Line("proc4", Count::Said(1)),
];
const NET: usize = 0;
const RPC: usize = 1;

/// Columns of the line of the network by transport.
const TRANSPORTS: Columns = &[(1, "udp"), (2, "tcp")];
static NUMBERS: [(usize, usize, &Family<Nfs, 0>); 4] = [
    (NET, 3, &CONNECTIONS),
    (RPC, 0, &RPCS),
    (RPC, 1, &RETRANSMISSIONS),
    (RPC, 2, &REFRESHES),
];
const VERSIONS: [Counted; 3] = [(2, "2", VERSION_2), (3, "3", VERSION_3), (4, "4", CLIENT_4)];

impl Subject for Nfs {
    const NAME: &'static str = "nfs";
    const ON: bool = true;
    const EXPORTED: bool = false;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const INSTRUMENTS: &'static [&'static dyn Named] = INSTRUMENTS;
    type Options = NoOptions;
    type Want = ();
    type Reading = Lines;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Lines>, Absent> {
        Ok(Lines::parse(&pass.net_file("rpc/nfs")?, &LINES))
    }

    fn prometheus(_: &NoOptions, reading: &Lines, page: &mut Page<'_, Self>) {
        reading.label(page, (&PACKETS, NET, TRANSPORTS));
        reading.values(page, &NUMBERS);
        reading.methods(&mut page.family(&REQUESTS), &VERSIONS, "");
    }

    fn otlp(_: &NoOptions, past: Past<'_, Lines>, batch: &mut Batch<'_, '_, Self>) {
        let reading = past.now;
        reading.attribute(batch, (&NETWORK, NET, TRANSPORTS));
        let numbers = [
            (NET, 3, &ACCEPTED),
            (RPC, 0, &CALLS),
            (RPC, 1, &AGAIN),
            (RPC, 2, &RENEWED),
        ];
        reading.counts(batch, &numbers);
        let [_, procedures, operations] = VERSIONS;
        reading.names(batch, &PROCEDURES, &[procedures]);
        reading.names(batch, &OPERATIONS, &[operations]);
    }
}
