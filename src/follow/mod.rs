//! Following: a container with the label `hotseat.session=NAME` is attached to that session when it starts.
//!
//! One task for each runtime's socket. It subscribes to the starts of containers, looks which run already, and
//! attaches those with the label; so a container that starts again, for whatever reason, is attached again, and so is
//! everything after the runtime's daemon, or ours, was away. When the connection ends it is made again, after a
//! growing pause.
//!
//! What takes grants from containers is followed too, where that can be: a runtime's updates, and systemd.

mod bus;
mod reapply;
mod status;
mod systemd;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use device_gate::Grants;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::engine::chain;
use crate::problem::Problem;
use crate::runtime::api::Event;
use crate::runtime::http::HttpError;
use crate::runtime::{Runtime, api};
use crate::session::Sessions;

use self::reapply::Reapply;
pub(crate) use self::status::Following;

/// The label. Its value is a session's name.
pub const LABEL: &str = "hotseat.session";

/// The pause before a connection is tried again, which doubles from the first to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// How many containers of a runtime are being attached at once. It may tell of more than there are.
const AT_ONCE: usize = 64;

/// A runtime cannot be followed now.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("`{0}`: this host has no such user")]
    NoUser(String),
    #[error("could not find its socket")]
    Socket(#[source] std::io::Error),
    #[error("`{socket}` does not answer")]
    Connect {
        socket: String,
        #[source]
        source: std::io::Error,
    },
    #[error("could not ask for its containers")]
    Api(#[source] HttpError),
    #[error("its stream of events ended")]
    Ended,
}

/// Held by every attach that is under way. It goes on when who began it ends, as one that breaks off would leave half a
/// session.
pub(crate) type UnderWay = watch::Receiver<()>;

/// Follows what the configuration says, until the answer is dropped.
pub(crate) fn start(sessions: &Arc<Sessions>, under_way: &UnderWay) -> JoinSet<()> {
    let mut followers = JoinSet::new();
    let engine = sessions.engine();
    let config = engine.config();
    let (reapply, asked) = Reapply::new();
    if engine.grants().is_ok_and(Grants::can_be_lost) {
        followers.spawn(reapply::serve(Arc::clone(engine), asked));
        followers.spawn(systemd::follow(reapply.clone()));
    }
    if config.follow {
        let users = config.follow_podman_users.iter().cloned().map(Runtime::PodmanOf);
        for runtime in [Runtime::Docker, Runtime::Podman].into_iter().chain(users) {
            let (under_way, reapply) = (under_way.clone(), reapply.clone());
            followers.spawn(follow(Arc::clone(sessions), runtime, under_way, reapply));
        }
    }
    followers
}

/// The attaches that a follower has begun: it waits for them, and does not end them when it ends.
struct Adopting {
    under_way: UnderWay,
    waits: JoinSet<()>,
}

async fn follow(sessions: Arc<Sessions>, runtime: Runtime, under_way: UnderWay, reapply: Reapply) {
    let following = &sessions.engine().following;
    let mut pause = PAUSE.0;
    let mut adopting = Adopting { under_way, waits: JoinSet::new() };
    loop {
        let Err(error) = watch(&sessions, &runtime, &reapply, &mut adopting).await;
        if following.is_connected(&runtime) {
            warn!(%runtime, error = chain(&error), "containers are not followed for now");
            pause = PAUSE.0;
        }
        following.disconnected(&runtime, chain(&error));
        // A back-off, not a wait for something: a socket that refuses says nothing about when it will not.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Attaches what runs and what starts, as long as the connection lasts.
async fn watch(
    sessions: &Arc<Sessions>,
    runtime: &Runtime,
    reapply: &Reapply,
    adopting: &mut Adopting,
) -> Result<std::convert::Infallible, FollowError> {
    let engine = sessions.engine();
    let socket = runtime.socket(&engine.config()).await.map_err(FollowError::Socket)?;
    let Some(socket) = socket else { return Err(FollowError::NoUser(runtime.to_string())) };
    let shown = || socket.display().to_string();
    crate::runtime::answers(&socket)
        .await
        .map_err(|source| FollowError::Connect { socket: shown(), source })?;

    // What starts from now on comes as an event, even if we are not listening yet; what ran before is in the list;
    // what is in both is attached once.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut events = api::events(&socket, now.as_secs()).await.map_err(FollowError::Api)?;
    for (name, session) in api::labelled(&socket, LABEL).await.map_err(FollowError::Api)? {
        spawn_adopt(sessions, runtime, adopting, name, session).await;
    }
    engine.following.connected(runtime);
    info!(%runtime, "containers with the label {LABEL} are followed");
    // A user's own engine cannot write the rules of a cgroup's devices, and would keep us busy.
    let may_take = !matches!(runtime, Runtime::PodmanOf(_));
    if may_take {
        // It may have updated one while nobody listened.
        reapply.after("a connection to a runtime");
    }
    while let Some(event) = events.next::<Event>().await.map_err(FollowError::Api)? {
        if event.action == api::UPDATE {
            if may_take {
                reapply.after("an update of a container");
            }
        } else if let Some((name, session)) = event.labelled(LABEL) {
            spawn_adopt(sessions, runtime, adopting, name, session).await;
        }
    }
    Err(FollowError::Ended)
}

/// Attaches one container beside others, as many as may be.
async fn spawn_adopt(
    sessions: &Arc<Sessions>,
    runtime: &Runtime,
    adopting: &mut Adopting,
    name: String,
    session: String,
) {
    let Adopting { under_way, waits } = adopting;
    while waits.try_join_next().is_some() {}
    if waits.len() >= AT_ONCE {
        waits.join_next().await;
    }
    let (sessions, runtime) = (Arc::clone(sessions), runtime.clone());
    let under_way = under_way.clone();
    let adopted = tokio::spawn(async move {
        adopt(sessions, runtime, name, session).await;
        drop(under_way);
    });
    waits.spawn(async move { drop(adopted.await) });
}

/// Attaches one container. What it does to be slow, or what goes wrong with it, is no other's concern.
async fn adopt(sessions: Arc<Sessions>, runtime: Runtime, name: String, session: String) {
    // In lists names begin with a slash. What no engine calls a container is no name to work with, nor to log.
    let Some(reference) = runtime.reference(name.trim_start_matches('/')) else { return };
    let following = &sessions.engine().following;
    match sessions.adopt(&session, reference.clone()).await {
        Ok(attached) => {
            following.adopted(&reference);
            if attached {
                info!(session, container = %reference, "attached by its label");
            }
        }
        Err(error) => {
            let problem = Problem::from(error);
            let (why, hint) = (&problem.detail, &problem.hint);
            warn!(session, container = %reference, why, hint, "a container's label could not be followed");
            following.refused(&reference, &session, problem);
        }
    }
}
