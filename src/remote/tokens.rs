//! Who may be a client from afar: tokens, each for one session. Only the hash of a token is kept, beside the journal, so
//! that tokens outlive the daemon as sessions do; and what the players who came with it had plugged, so that they find it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use super::error::{Refusal, TokenError};
use super::identity::{hex, sha256, write_secret};
use crate::engine::chain;

/// The name of the file, beside the journal.
const FILE: &str = "tokens.json";

/// How many tokens a session may have. Whoever makes more forgets to revoke them.
const MOST: usize = 64;

/// How long a token that is over is known, so that who has it is told so.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
const NOW: Duration = Duration::ZERO;

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// What it is revoked by. Not the token.
    pub id: String,
    /// The session that it is for.
    pub session: String,
    /// Until when clients may attach with it, in milliseconds since 1970 (UTC); without end if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_ms: Option<u64>,
    /// The profiles that may be plugged with it; all if empty.
    pub profiles: Vec<String>,
    /// Whether keys count that a player has no use for and a host may obey, such as SysRq and Power.
    pub all_keys: bool,
}

/// What a token is to be good for.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// For how long.
    pub(crate) lifetime: Option<Duration>,
    pub(crate) profiles: Vec<String>,
    pub(crate) all_keys: bool,
}

/// A hash of something that only its owner knows.
pub(super) type Hash = String;

/// A token, and what came with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    token: Token,
    hash: Hash,
    /// What players have plugged, by the hash of what they resume with.
    #[serde(default)]
    seats: BTreeMap<Hash, Slots>,
}

/// Profiles, by slot.
pub(super) type Slots = BTreeMap<u8, String>;

/// All tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    path: PathBuf,
    /// By id.
    entries: Mutex<BTreeMap<String, Entry>>,
    /// Held while they are changed, here and on the disk.
    changing: Mutex<()>,
    /// Rung when there are fewer.
    fewer: watch::Sender<()>,
}

impl Tokens {
    /// Those of an earlier daemon, whose journal is this one.
    pub(crate) fn load(journal: &Path) -> Self {
        let path = journal.with_file_name(FILE);
        let read = fs::read(&path).and_then(|text| {
            let entries: Vec<Entry> = serde_json::from_slice(&text)?;
            Ok(entries.into_iter().map(|entry| (entry.token.id.clone(), entry)).collect())
        });
        let entries = read.unwrap_or_else(|error| {
            if error.kind() != ErrorKind::NotFound {
                tracing::error!(path = %path.display(), %error, "the tokens of an earlier daemon are lost");
            }
            BTreeMap::new()
        });
        Self {
            path,
            entries: Mutex::new(entries),
            changing: Mutex::default(),
            fewer: watch::Sender::default(),
        }
    }

    /// Makes a token for a session, and says what it is. Writes to the disk.
    pub(crate) fn add(&self, session: &str, scope: Scope) -> Result<(Token, String), TokenError> {
        let (id, secret) = (random::<8>()?, random::<32>()?);
        let Scope { lifetime, profiles, all_keys } = scope;
        let token = Token {
            id: hex(&id),
            session: session.to_owned(),
            expires_ms: lifetime.map(|lifetime| millis(now().saturating_add(lifetime))),
            profiles,
            all_keys,
        };
        let secret = hex(&secret);
        let hash = hash(secret.as_bytes());
        let entry = Entry { token: token.clone(), hash, seats: BTreeMap::new() };
        self.change(|entries| {
            entries.retain(|_, entry| !entry.is_useless(REMEMBERED));
            let of_session =
                |entry: &&Entry| entry.token.session == session && !entry.is_useless(NOW);
            if entries.values().filter(of_session).count() >= MOST {
                return Err(TokenError::TooMany { session: session.to_owned(), limit: MOST });
            }
            entries.insert(token.id.clone(), entry);
            Ok(())
        })?;
        Ok((token, secret))
    }

    /// All that are good for something: to attach with, or to be taken back, which ends those who play on.
    pub(crate) fn list(&self) -> Vec<Token> {
        let entries = self.entries();
        let useful = entries.values().filter(|entry| !entry.is_useless(NOW));
        useful.map(|entry| entry.token.clone()).collect()
    }

    /// Takes a token back; its clients are disconnected. Writes to the disk.
    pub(crate) fn revoke(&self, id: &str) -> Result<(), TokenError> {
        self.change(|entries| match entries.remove(id) {
            Some(_) => Ok(()),
            None => Err(TokenError::NotFound { id: id.to_owned() }),
        })?;
        self.fewer.send_replace(());
        Ok(())
    }

    /// Keeps only the tokens of these sessions. Writes to the disk where there are others.
    pub(crate) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        if self.entries().values().all(|entry| is_there(&entry.token.session)) {
            return;
        }
        let retained = self.change(|entries| {
            entries.retain(|_, entry| is_there(&entry.token.session));
            Ok(())
        });
        if let Err(error) = retained {
            tracing::error!(
                error = chain(&error),
                "the tokens of a session that is gone stay on the disk"
            );
            self.entries().retain(|_, entry| is_there(&entry.token.session));
        }
        self.fewer.send_replace(());
    }

    /// The token that these bytes are, if it is for this session.
    pub(super) fn find(&self, secret: &[u8], session: &str) -> Result<Token, Refusal> {
        let hash = hash(secret);
        let entries = self.entries();
        let found = entries.values().find(|entry| entry.hash == hash);
        // Whoever has it learns nothing of other sessions.
        let found = found.filter(|entry| entry.token.session == session);
        match found {
            None => Err(Refusal::Token),
            Some(entry) if entry.token.is_over(NOW) => Err(Refusal::Expired),
            Some(entry) => Ok(entry.token.clone()),
        }
    }

    /// Whether a token has not been taken back.
    pub(super) fn is_there(&self, id: &str) -> bool {
        self.entries().contains_key(id)
    }

    /// For whoever waits until a token is taken back.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.fewer.subscribe()
    }

    /// What the players who came with a token have plugged.
    pub(super) fn seats(&self) -> Vec<(Token, Hash, Slots)> {
        let entries = self.entries();
        let of = |entry: &Entry| {
            let token = entry.token.clone();
            let seats = entry.seats.clone().into_iter();
            seats.map(move |(seat, slots)| (token.clone(), seat, slots)).collect::<Vec<_>>()
        };
        entries.values().flat_map(of).collect()
    }

    /// Notes what a player has plugged; without anything, forgets them. Writes to the disk.
    pub(super) fn note(&self, id: &str, seat: &Hash, slots: &Slots) -> Result<(), TokenError> {
        self.change(|entries| {
            let Some(entry) = entries.get_mut(id) else { return Ok(()) };
            if slots.is_empty() {
                entry.seats.remove(seat);
            } else {
                entry.seats.insert(seat.clone(), slots.clone());
            }
            Ok(())
        })
    }

    /// What cannot be written down does not happen. Nobody who only looks waits for the disk.
    fn change(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Entry>) -> Result<(), TokenError>,
    ) -> Result<(), TokenError> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = self.entries().clone();
        change(&mut new)?;
        if new == *self.entries() {
            return Ok(());
        }
        let entries: Vec<_> = new.values().collect();
        let written = serde_json::to_vec(&entries).map_err(io::Error::from);
        let written = written.and_then(|text| write_secret(&self.path, &text));
        written.map_err(TokenError::Write)?;
        *self.entries() = new;
        Ok(())
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Whether, since that long, nobody can come with it; and nobody who came has anything plugged.
    fn is_useless(&self, since: Duration) -> bool {
        self.token.is_over(since) && self.seats.is_empty()
    }
}

impl Token {
    /// Whether it is, since that long.
    fn is_over(&self, since: Duration) -> bool {
        self.expires_ms.is_some_and(|expires| expires <= millis(now().saturating_sub(since)))
    }

    pub(super) fn allows(&self, profile: &str) -> bool {
        self.profiles.is_empty() || self.profiles.iter().any(|allowed| allowed == profile)
    }
}

/// What a secret is known by. It is random and long: a plain hash says nothing of it.
pub(super) fn hash(secret: &[u8]) -> Hash {
    hex(&sha256(secret))
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N], TokenError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| TokenError::Random)?;
    Ok(bytes)
}

/// Since 1970: it goes on over restarts.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(lifetime: Option<Duration>) -> Scope {
        Scope { lifetime, profiles: Vec::new(), all_keys: false }
    }

    fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>) -> &'static str {
        result.unwrap_err().code()
    }

    #[test]
    fn a_token_is_good_for_its_session_alone_and_outlives_the_daemon() {
        let directory = tempfile::tempdir().unwrap();
        let journal = directory.path().join("journal");
        let tokens = Tokens::load(&journal);
        let (token, secret) = tokens.add("alice", scope(None)).unwrap();
        let slots = Slots::from([(3, "xbox-one".to_owned())]);
        tokens.note(&token.id, &hash(b"resume"), &slots).unwrap();
        let written = fs::read_to_string(directory.path().join(FILE)).unwrap();
        assert!(!written.contains(&secret), "{written}");

        let tokens = Tokens::load(&journal);
        assert_eq!(tokens.find(secret.as_bytes(), "alice").unwrap(), token);
        assert_eq!(tokens.seats(), [(token.clone(), hash(b"resume"), slots)]);
        assert_eq!(refused(tokens.find(secret.as_bytes(), "bob")), "token-refused");
        assert_eq!(refused(tokens.find(token.id.as_bytes(), "alice")), "token-refused");
        assert_eq!(refused(tokens.find(b"", "alice")), "token-refused");
    }

    #[test]
    fn a_token_that_is_over_revoked_or_of_a_session_that_is_gone_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let tokens = Tokens::load(&directory.path().join("journal"));
        let (_, over) = tokens.add("alice", scope(Some(Duration::ZERO))).unwrap();
        let (revoked, secret) = tokens.add("alice", scope(None)).unwrap();
        let (_, other) = tokens.add("bob", scope(Some(Duration::from_secs(3600)))).unwrap();
        let mut fewer = tokens.watch();
        assert_eq!(refused(tokens.find(over.as_bytes(), "alice")), "token-expired");
        assert_eq!(tokens.list().len(), 2);

        tokens.revoke(&revoked.id).unwrap();
        assert!(fewer.has_changed().unwrap() && !tokens.is_there(&revoked.id));
        fewer.mark_unchanged();
        assert_eq!(refused(tokens.find(secret.as_bytes(), "alice")), "token-refused");
        assert!(matches!(tokens.revoke(&revoked.id), Err(TokenError::NotFound { .. })));

        tokens.retain(|session| session != "bob");
        assert!(fewer.has_changed().unwrap());
        assert_eq!(refused(tokens.find(other.as_bytes(), "bob")), "token-refused");
    }

    #[test]
    fn who_has_a_token_that_is_over_is_told_so() {
        let directory = tempfile::tempdir().unwrap();
        let tokens = Tokens::load(&directory.path().join("journal"));
        let (_, over) = tokens.add("alice", scope(Some(Duration::ZERO))).unwrap();
        assert_eq!(refused(tokens.find(over.as_bytes(), "alice")), "token-expired");
        assert_eq!(refused(tokens.find(over.as_bytes(), "bob")), "token-refused");
    }

    #[test]
    fn a_session_has_only_so_many_tokens() {
        let directory = tempfile::tempdir().unwrap();
        let tokens = Tokens::load(&directory.path().join("journal"));
        // One that is over takes nobody's place.
        tokens.add("alice", scope(Some(Duration::ZERO))).unwrap();
        for _ in 0..MOST {
            tokens.add("alice", scope(None)).unwrap();
        }
        assert!(matches!(tokens.add("alice", scope(None)), Err(TokenError::TooMany { .. })));
        tokens.add("bob", scope(None)).unwrap();
    }

    #[test]
    fn a_file_that_makes_no_sense_lets_nobody_in() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "[{\"id\":").unwrap();
        assert!(Tokens::load(&directory.path().join("journal")).list().is_empty());
    }
}
