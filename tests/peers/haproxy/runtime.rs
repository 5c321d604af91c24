//! The client of the runtime API: what it reads is what HAProxy shows an operator.

use libtest_mimic::Failed;
use nodeward::net::endpoint::Place;
use nodeward::net::resolve::Resolver;
use nodeward::peer::haproxy::{Error, Runtime, Server, Session, State, Weight};

use super::balancer::Balancer;
use super::web::{Visitor, Web};
use super::{becomes, on_runtime, soon};
use crate::PeerTest;
use crate::programs::Peer;

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "haproxy::servers_are_read_as_an_operator_sees_them",
        needs: &[Peer::Haproxy],
        run: || on_runtime(servers()),
    },
    PeerTest {
        name: "haproxy::states_and_weights_are_taken_over_a_socket_and_tcp",
        needs: &[Peer::Haproxy],
        run: || on_runtime(orders()),
    },
    PeerTest {
        name: "haproxy::a_session_has_its_client_until_it_is_shut_down",
        needs: &[Peer::Haproxy],
        run: || on_runtime(sessions()),
    },
    PeerTest {
        name: "haproxy::a_refusal_says_which_setting_helps",
        needs: &[Peer::Haproxy],
        run: || on_runtime(refusals()),
    },
];

async fn server(runtime: &Runtime) -> Result<Server, Failed> {
    let servers = runtime.servers(soon()).await?;
    let name = runtime.server().as_str();
    let found = servers.into_iter().find(|one| one.name == name);
    Ok(found.ok_or("it is not among them")?)
}

async fn servers() -> Result<(), Failed> {
    let (one, two, three) = (Web::start("one")?, Web::start("two")?, Web::start("three")?);
    let gone = Web::start("gone")?;
    let balancer = Balancer::start(&[
        (&one, "check weight 100"),
        (&two, ""),
        (&three, "check backup"),
        (&gone, "check"),
        (&one, "disabled"),
    ])?;
    drop(gone);
    balancer.status("web-4", "DOWN")?;
    balancer.status("web-1", "UP")?;
    let runtime = balancer.runtime("admin", "web-1")?;
    // A check is known once it was made.
    let servers = becomes("the check of web-1", async || {
        let servers = runtime.servers(soon()).await?;
        Ok((servers.first().and_then(|one| one.check) == Some(true)).then_some(servers))
    })
    .await?;
    let shown: Vec<_> = servers
        .iter()
        .map(|one| {
            let takes = one.takes_sessions();
            (
                one.name.as_str(),
                takes,
                one.backup,
                one.initial_weight,
                one.check,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("web-1", true, false, 100, Some(true)),
            ("web-2", true, false, 1, None),
            ("web-3", true, true, 1, Some(true)),
            ("web-4", false, false, 1, Some(false)),
            ("web-5", false, false, 1, None),
        ]
    );
    assert!(
        servers
            .last()
            .is_some_and(|one| one.admin.is_disabled() && one.admin.is_maint())
    );
    Ok(())
}

async fn orders() -> Result<(), Failed> {
    let web = Web::start("one")?;
    let balancer = Balancer::start(&[(&web, "check weight 100"), (&web, "")])?;
    let over_tcp = Runtime::new(
        format!("127.0.0.1:{}", balancer.tcp).parse::<Place>()?,
        "web".parse()?,
        "web-1".parse()?,
        Resolver::default(),
    );
    for runtime in [balancer.runtime("admin", "web-1")?, over_tcp] {
        for (state, status) in [
            (State::Drain, "DRAIN"),
            (State::Maint, "MAINT"),
            (State::Ready, "UP"),
        ] {
            runtime.set_state(state, soon()).await?;
            runtime.set_state(state, soon()).await?;
            assert!(
                balancer.stat("web-1", "status")?.starts_with(status),
                "{status}"
            );
            let admin = server(&runtime).await?.admin;
            let expected = (state == State::Drain, state == State::Maint);
            assert_eq!((admin.is_drain(), admin.is_maint()), expected, "{status}");
        }
        for (weight, shown) in [
            (Weight::Percent(10), "10"),
            (Weight::Absolute(7), "7"),
            (Weight::Percent(100), "100"),
        ] {
            runtime.set_weight(weight, soon()).await?;
            assert_eq!(balancer.stat("web-1", "weight")?, shown);
            assert_eq!(server(&runtime).await?.weight.to_string(), shown);
        }
    }
    // Rounded down, as is said of it.
    let small = balancer.runtime("admin", "web-2")?;
    small.set_weight(Weight::Percent(99), soon()).await?;
    assert_eq!(server(&small).await?.weight, 0);
    // A check from before maintenance is none.
    let runtime = balancer.runtime("admin", "web-1")?;
    runtime.set_state(State::Maint, soon()).await?;
    assert_eq!(server(&runtime).await?.check, None);
    Ok(())
}

async fn sessions() -> Result<(), Failed> {
    let web = Web::start("one")?;
    let balancer = Balancer::start(&[(&web, "")])?;
    let mut visitor = Visitor::new(9, balancer.port).await?;
    visitor.downloads().await?;
    let runtime = balancer.runtime("admin", "web-1")?;
    let found = runtime.sessions(soon()).await?;
    let ours = |one: &&Session| one.backend == "web" && one.server == "web-1";
    let clients: Vec<_> = found.iter().filter(ours).map(|one| &one.client).collect();
    let [client] = clients.as_slice() else {
        return Err(format!("not one session: {found:?}").into());
    };
    assert!(client.starts_with("127.0.0.9:"), "{client}");
    let before = server(&runtime).await?;
    assert_eq!((before.sessions, before.total), (1, 1));
    runtime.shutdown_sessions(soon()).await?;
    visitor.is_cut_off().await?;
    becomes("the end of the session", async || {
        Ok((server(&runtime).await?.sessions == 0).then_some(()))
    })
    .await
}

async fn refusals() -> Result<(), Failed> {
    let web = Web::start("one")?;
    let mut balancer = Balancer::start(&[(&web, "")])?;
    let refused = |told: Result<(), Error>| match told {
        Ok(()) => Err(Failed::from("it was taken")),
        Err(why) => Ok(why.to_string()),
    };
    let operator = balancer.runtime("operator", "web-1")?;
    operator.servers(soon()).await?;
    operator.sessions(soon()).await?;
    let why = refused(operator.set_state(State::Drain, soon()).await)?;
    assert!(why.contains("level admin"), "{why}");
    let why = refused(operator.shutdown_sessions(soon()).await)?;
    assert!(why.contains("level admin"), "{why}");

    let unknown = balancer.runtime("admin", "web-9")?;
    for why in [
        refused(unknown.set_weight(Weight::Percent(1), soon()).await)?,
        refused(unknown.shutdown_sessions(soon()).await)?,
        refused(unknown.servers(soon()).await.map(drop))?,
    ] {
        assert!(
            why.contains("no server \"web-9\"") && why.contains("`server`"),
            "{why}"
        );
    }
    let place = Place::Unix(balancer.socket("admin"));
    let other = Runtime::new(place, "wbe".parse()?, "web-1".parse()?, Resolver::default());
    for why in [
        refused(other.set_state(State::Maint, soon()).await)?,
        refused(other.servers(soon()).await.map(drop))?,
    ] {
        assert!(
            why.contains("no backend \"wbe\"") && why.contains("`backend`"),
            "{why}"
        );
    }
    let admin = balancer.runtime("admin", "web-1")?;
    balancer.stop();
    let why = refused(admin.set_state(State::Maint, soon()).await)?;
    assert!(why.contains("does HAProxy run"), "{why}");
    Ok(())
}
