//! Who asks: the caller's standing as a type in the handler's signature.
//!
//! A handler that takes [`Guest`], [`Member`], [`Admin`] or [`Owner`] is reached only by a present member of the path's
//! organization with at least that role; strangers get 404, as if the organization did not exist. [`Operator`] opens the
//! console. [`SignedIn`] is anybody with a session, [`Reader`] anybody at all.

use std::{ops::Deref, sync::Arc};

use poem::{FromRequest, Request, RequestBody, Result, http::header};

use super::{
    answer::WebError,
    app::App,
    view::{self, BoardNav, Chrome, Me, OrgNav, Section},
    words::{Language, Words},
};
use crate::{
    ids::{BoardId, OrgId, Secret, UserId},
    people::{self, Role, directory, members, sessions},
    store::{Read, Store, StoreError, history::Actor},
    work::{self, Board},
};

/// The session's cookie. The prefix makes browsers refuse it over anything but this very host and TLS.
pub const SESSION_COOKIE: &str = "__Host-workrun";
/// The language chosen before signing in.
pub const LANGUAGE_COOKIE: &str = "workrun_language";

/// The id that stands in the log, on error pages and in the answer's header.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// Who asked, for the access log; put into the answer by the extractors.
#[derive(Clone, Debug, Default)]
pub struct Asker(pub Arc<parking_lot::Mutex<AskerNote>>);

/// What the access log notes of the asker.
#[derive(Clone, Debug, Default)]
pub struct AskerNote {
    pub org: Option<OrgId>,
    pub actor: Option<Actor>,
}

impl Asker {
    /// Notes who asks, and in which organization.
    pub fn note(req: &Request, org: Option<OrgId>, actor: Option<Actor>) {
        if let Some(asker) = req.data::<Self>() {
            let mut note = asker.0.lock();
            note.org = org.or(note.org);
            note.actor = actor.or(note.actor);
        }
    }
}

/// The running appliance, from the request.
///
/// # Errors
/// [`WebError::Internal`] if the site was put together without it.
pub fn app(req: &Request) -> Result<Arc<App>, WebError> {
    req.data::<Arc<App>>().cloned().ok_or_else(|| WebError::Internal("the site has no appliance".to_owned()))
}

/// A cookie's value.
#[must_use]
pub fn cookie<'r>(req: &'r Request, name: &str) -> Option<&'r str> {
    req.headers()
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// A session that lives, and whose it is.
pub struct Session {
    pub user: directory::User,
    pub session: sessions::Session,
    pub operator: Option<directory::Operator>,
}

/// The living session of a request.
///
/// # Errors
/// What the store says.
pub fn session(req: &Request, app: &Arc<App>) -> Result<Option<Session>, StoreError> {
    let Some(secret) = cookie(req, SESSION_COOKIE).and_then(Secret::<32>::parse) else { return Ok(None) };
    let now = app.now();
    let found = app.stores.system().view(|view| {
        let Some(session) = sessions::find(view, &secret, now)? else { return Ok(None) };
        let Some(user) = directory::user(view, session.user)? else { return Ok(None) };
        let operator = directory::operator(view, session.user)?;
        Ok::<_, StoreError>(Some(Session { user, session, operator }))
    })?;
    if let Some(found) = &found {
        Asker::note(req, None, Some(Actor::User(found.user.id)));
        // A live stream is not use: a browser left open must not keep its session alive for ever.
        if found.session.stale(now) && !req.uri().path().ends_with("/live") {
            let system = Arc::clone(app.stores.system());
            tokio::spawn(async move {
                let noted: Result<(), StoreError> =
                    system.submit(64, move |txn| sessions::note_use(txn, now, &secret)).await;
                if let Err(error) = noted {
                    tracing::warn!(%error, "the use of a session could not be noted");
                }
            });
        }
    }
    Ok(found)
}

/// Anybody, with the language they read.
pub struct Reader {
    pub app: Arc<App>,
    pub language: Language,
    pub theme: &'static str,
    pub session: Option<Session>,
    pub request_id: String,
}

impl Reader {
    /// Reads the request's session and language.
    ///
    /// # Errors
    /// What the store says.
    pub fn of(req: &Request) -> Result<Self, WebError> {
        let app = app(req)?;
        let session = session(req, &app)?;
        let preferences = session.as_ref().map(|session| &session.user);
        let language = preferences
            .and_then(|user| user.language.as_deref())
            .or_else(|| cookie(req, LANGUAGE_COOKIE))
            .and_then(Language::from_tag)
            .unwrap_or_else(|| Language::negotiate(req.header(header::ACCEPT_LANGUAGE).unwrap_or_default()));
        let theme = match preferences.and_then(|user| user.theme.as_deref()) {
            Some("light") => "light",
            Some("dark") => "dark",
            _ => "auto",
        };
        let request_id = req.data::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        Ok(Self { app, language, theme, session, request_id })
    }

    /// The words of the reader's language.
    #[must_use]
    pub fn words(&self) -> &'static Words {
        self.language.words()
    }

    /// The frame of a page outside organizations.
    #[must_use]
    pub fn chrome(&self, section: Section) -> Chrome {
        let me = self.session.as_ref().map(|session| {
            let name = session.operator.as_ref().map_or_else(String::new, |operator| operator.name.clone());
            Me {
                initial: initial(&name),
                name,
                hue: hue(session.user.id),
                role: String::new(),
                operator: session.operator.is_some(),
            }
        });
        Chrome {
            words: self.words(),
            theme: self.theme,
            me,
            org: None,
            section,
            request_id: self.request_id.clone(),
            flash: None,
        }
    }
}

impl<'a> FromRequest<'a> for Reader {
    async fn from_request(req: &'a Request, _: &mut RequestBody) -> Result<Self> {
        Ok(Self::of(req)?)
    }
}

/// First letter of a name, for an avatar.
#[must_use]
pub fn initial(name: &str) -> String {
    name.chars().next().map(|first| first.to_uppercase().collect()).unwrap_or_default()
}

/// Which of the four avatar hues is somebody's.
#[must_use]
pub fn hue(user: UserId) -> u8 {
    user.0[15] % 4 + 1
}

/// Anybody with a session.
pub struct SignedIn {
    pub reader: Reader,
    pub user: directory::User,
    pub session: sessions::Session,
}

impl<'a> FromRequest<'a> for SignedIn {
    async fn from_request(req: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let reader = Reader::of(req)?;
        let session = reader.session.as_ref().ok_or(WebError::SignIn)?;
        let (user, session) = (session.user.clone(), session.session.clone());
        Ok(Self { reader, user, session })
    }
}

/// An operator in the console.
pub struct Operator {
    pub reader: Reader,
    pub operator: directory::Operator,
}

impl<'a> FromRequest<'a> for Operator {
    async fn from_request(req: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let reader = Reader::of(req)?;
        let session = reader.session.as_ref().ok_or(WebError::SignIn)?;
        // Who is no operator is not told that there is a console.
        let operator = session.operator.clone().ok_or(WebError::NotFound)?;
        Asker::note(req, None, Some(Actor::Operator(Some(operator.user))));
        Ok(Self { reader, operator })
    }
}

/// A present member in their organization.
pub struct Here {
    pub reader: Reader,
    pub org: OrgId,
    pub store: Arc<Store>,
    pub member: members::Member,
    pub settings: members::Settings,
}

impl Here {
    fn of(req: &Request, least: Role) -> Result<Self, WebError> {
        let reader = Reader::of(req)?;
        let user = reader.session.as_ref().ok_or(WebError::SignIn)?.user.id;
        let org: OrgId = req.raw_path_param("org").and_then(|text| text.parse().ok()).ok_or(WebError::NotFound)?;
        let store = reader.app.stores.organization(org)?;
        let (member, settings) =
            store.view(|view| Ok::<_, StoreError>((people::member(view, user)?, members::settings(view)?)))?;
        let member = member.filter(|member| member.left_at.is_none()).ok_or(WebError::NotFound)?;
        Asker::note(req, Some(org), Some(Actor::User(user)));
        if member.role < least {
            return Err(WebError::Forbidden);
        }
        Ok(Self { reader, org, store, member, settings })
    }

    /// The running appliance.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.reader.app
    }

    /// Which history the organization's event numbers count in: another after it, or everything, was restored.
    ///
    /// # Errors
    /// What the store says.
    pub fn epoch(&self, view: &dyn Read) -> Result<String, StoreError> {
        Ok(format!("{}-{:x}", self.app().epoch, crate::store::lineage(view)?))
    }

    /// The words of the reader's language.
    #[must_use]
    pub fn words(&self) -> &'static Words {
        self.reader.words()
    }

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::User(self.member.user)
    }

    /// Whether the reader may see a board: guests only those that they were admitted to.
    #[must_use]
    pub fn sees(&self, board: &Board) -> bool {
        sees(self.member.role, self.member.user, board)
    }

    /// A board that the reader may see.
    ///
    /// # Errors
    /// [`WebError::NotFound`], or what the store says.
    pub fn board(&self, view: &dyn Read, id: BoardId) -> Result<Board, WebError> {
        let board = work::read::board(view, id)?.ok_or(WebError::NotFound)?;
        if self.sees(&board) { Ok(board) } else { Err(WebError::NotFound) }
    }

    /// What the reader may do on a board, for templates.
    #[must_use]
    pub fn head(&self, board: &Board) -> view::parts::BoardHead {
        view::parts::BoardHead {
            org: self.org.to_string(),
            id: board.id.to_string(),
            name: board.name.clone(),
            may_edit: self.member.role >= Role::Member,
            may_manage: self.member.role >= Role::Admin,
        }
    }

    /// The frame of a page of the organization.
    ///
    /// # Errors
    /// What the store says.
    pub fn chrome(&self, view: &dyn Read, section: Section, current: Option<BoardId>) -> Result<Chrome, WebError> {
        let mut boards = Vec::new();
        for board in work::read::boards(view)? {
            if board.archived_at.is_none() && self.sees(&board) {
                boards.push(BoardNav {
                    id: board.id.to_string(),
                    cards: work::read::tally(view, board.id)?.open(),
                    current: current == Some(board.id),
                    name: board.name,
                });
            }
        }
        let mut others = Vec::new();
        for org in self.reader.session.iter().flat_map(|session| &session.user.organizations) {
            if *org != self.org {
                let entry = self.app().stores.system().view(|view| directory::organization(view, *org))?;
                let name = entry.and_then(|entry| people::sagas::organization_name(&self.app().stores, &entry));
                others.extend(name.map(|name| (org.to_string(), name)));
            }
        }
        let org = OrgNav {
            id: self.org.to_string(),
            mark: initial(&self.settings.name),
            name: self.settings.name.clone(),
            others,
            boards,
            admin: self.member.role >= Role::Admin,
            may_create_boards: self.member.role >= Role::Member,
        };
        let me = Me {
            name: self.member.name.clone(),
            initial: initial(&self.member.name),
            hue: hue(self.member.user),
            role: self.words().text(&format!("role-{}", self.member.role.name())),
            operator: self.reader.session.as_ref().is_some_and(|session| session.operator.is_some()),
        };
        Ok(Chrome { me: Some(me), org: Some(org), ..self.reader.chrome(section) })
    }
}

/// Whether somebody of that role may see a board.
#[must_use]
pub fn sees(role: Role, user: UserId, board: &Board) -> bool {
    role > Role::Guest || board.guests.contains(&user)
}

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name(pub Arc<Here>);

        impl Deref for $name {
            type Target = Here;
            fn deref(&self) -> &Here {
                &self.0
            }
        }

        impl<'a> FromRequest<'a> for $name {
            async fn from_request(req: &'a Request, _: &mut RequestBody) -> Result<Self> {
                Ok(Self(Arc::new(Here::of(req, Role::$name)?)))
            }
        }
    )*};
}

roles! {
    /// Anybody of the organization.
    Guest;
    /// Somebody who works on boards.
    Member;
    /// Somebody who shapes boards and looks after members.
    Admin;
    /// Somebody who answers for the organization.
    Owner;
}
