//! Who asks: the token's standing as a type in the handler's signature, as on the pages.
//!
//! A handler that takes [`Guest`], [`Member`] or [`Admin`] is reached only with a usable token of the path's organization
//! whose role reaches. A token made by a member acts with the lesser of its own role and what that member has now, and
//! ends when they leave; one of role guest sees the boards that its maker was admitted to.

use std::{ops::Deref, sync::Arc};

use poem::{Request, RequestBody, Result, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchemaRef, MetaSecurityScheme, Registry},
};

use super::{body::id_schema, problem::Problem};
use crate::{
    clock::Timestamp,
    ids::{BoardId, CardId, OrgId, TokenId, UserId},
    people::{self, Role, tokens},
    store::{Read, Store, StoreError, history::Actor},
    web::{
        app::App,
        caller::{self, Asker},
    },
    work::{self, Board, Card},
};

/// The name of the security scheme in the document.
const SCHEME: &str = "token";
/// What the framework calls the first variable of a path: the organization.
const FIRST: &str = "param0";
/// What the framework calls the second variable of a path.
const SECOND: &str = "param1";

/// A token in its organization.
pub struct Caller {
    pub app: Arc<App>,
    pub org: OrgId,
    pub store: Arc<Store>,
    pub token: TokenId,
    /// What it may do now.
    pub role: Role,
    /// The member who made it; none if it was made on the server.
    pub maker: Option<UserId>,
    /// When the request came.
    pub now: Timestamp,
}

impl Caller {
    fn of(req: &Request, least: Role) -> Result<Self, Problem> {
        let app = caller::app(req)?;
        let bearer = req
            .header(header::AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .and_then(|(_, token)| tokens::Bearer::parse(token.trim()))
            .ok_or_else(Problem::unauthenticated)?;
        if req.raw_path_param(FIRST).and_then(|text| text.parse().ok()) != Some(bearer.org) {
            return Err(Problem::not_found());
        }
        let store = app.stores.organization(bearer.org).map_err(|error| match error {
            StoreError::Missing => Problem::unauthenticated(),
            error => error.into(),
        })?;
        let now = app.now();
        let found = store.view(|view| {
            let Some(token) = tokens::find(view, &bearer, now)? else { return Ok(None) };
            let Some(maker) = token.by else { return Ok(Some((token.role, token))) };
            let member = people::member(view, maker)?.filter(|member| member.left_at.is_none());
            Ok::<_, StoreError>(member.map(|member| (token.role.min(member.role), token)))
        })?;
        let (role, token) = found.ok_or_else(Problem::unauthenticated)?;
        Asker::note(req, Some(bearer.org), Some(Actor::Token(token.id)));
        if role < least {
            return Err(Problem::forbidden(role, least));
        }
        Ok(Self { app, org: bearer.org, store, token: token.id, role, maker: token.by, now })
    }

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::Token(self.token)
    }

    /// Whether the token may see a board.
    #[must_use]
    pub fn sees(&self, board: &Board) -> bool {
        self.role > Role::Guest || self.maker.is_some_and(|maker| caller::sees(self.role, maker, board))
    }

    /// A board that the token may see.
    ///
    /// # Errors
    /// 404, or what the store says.
    pub fn board(&self, view: &dyn Read, id: BoardId) -> Result<Board, Problem> {
        let board = work::read::board(view, id)?.filter(|board| self.sees(board));
        board.ok_or_else(Problem::not_found)
    }

    /// A card on a board that the token may see, with its board.
    ///
    /// # Errors
    /// 404, or what the store says.
    pub fn card(&self, view: &dyn Read, id: CardId) -> Result<(Card, Board), Problem> {
        let card = work::read::card(view, id)?.ok_or_else(Problem::not_found)?;
        let board = self.board(view, card.board)?;
        Ok((card, board))
    }
}

fn register_scheme(registry: &mut Registry) {
    let scheme = MetaSecurityScheme {
        ty: "http",
        description: Some("An API token of the organization in the path. It may do what its role may."),
        name: None,
        key_in: None,
        scheme: Some("bearer"),
        bearer_format: Some("wr_…"),
        flows: None,
        openid_connect_url: None,
    };
    registry.create_security_scheme(SCHEME, scheme);
}

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name(pub Arc<Caller>);

        impl Deref for $name {
            type Target = Caller;
            fn deref(&self) -> &Caller {
                &self.0
            }
        }

        /// In the document it is both the security that the operation needs and the path's `org`.
        impl<'a> ApiExtractor<'a> for $name {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme, ApiExtractorType::Parameter];
            const PARAM_IS_REQUIRED: bool = true;
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                register_scheme(registry);
            }

            fn security_schemes() -> Vec<&'static str> {
                vec![SCHEME]
            }

            fn param_in() -> Option<MetaParamIn> {
                Some(MetaParamIn::Path)
            }

            fn param_schema_ref() -> Option<MetaSchemaRef> {
                Some(id_schema())
            }

            async fn from_request(req: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
                Ok(Self(Arc::new(Caller::of(req, Role::$name)?)))
            }
        }
    )*};
}

roles! {
    /// Any token of the organization.
    Guest;
    /// A token that works on boards.
    Member;
    /// A token that shapes boards and reads the audit log.
    Admin;
}

/// The second variable of a path: the id of what the operation is about.
pub struct Named<T>(pub T);

impl<'a, T: std::str::FromStr + Send + Sync> ApiExtractor<'a> for Named<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = true;
    type ParamType = ();
    type ParamRawType = ();

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Path)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(id_schema())
    }

    async fn from_request(req: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let id = req.raw_path_param(SECOND).and_then(|text| text.parse().ok());
        Ok(Self(id.ok_or_else(Problem::not_found)?))
    }
}
