//! The site map: every path, what answers there, and who may ask.
//!
//! The handlers' signatures hold the permissions; what stands here is what tests/permissions.rs expects of each of them,
//! so that a route cannot appear without somebody having said who may use it.

use poem::{Route, RouteMethod};

use super::{
    api, inbound, live,
    pages::{
        board, board_settings, card, console, gate, home, hooks, invitation, list, members, organization, profile,
        quota, snapshots,
    },
    plain,
};

/// A route, as tests enumerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// `get` or `post`.
    pub method: &'static str,
    /// The template, such as `/o/:org/cards/:card`.
    pub path: &'static str,
    pub needs: Needs,
}

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Anybody.
    Anyone,
    /// Anybody with a session.
    SignedIn,
    /// A guest of the path's organization, or more.
    Guest,
    /// A member, or more.
    Member,
    /// An admin, or more.
    Admin,
    /// An owner.
    Owner,
    /// An operator of the appliance.
    Operator,
    /// Whoever knows the address.
    Address,
}

macro_rules! site {
    ($($path:literal { $($method:ident $handler:path : $needs:ident),+ $(,)? })*) => {
        /// Every route of the pages and the webhooks' door.
        pub const ROUTES: &[RouteSpec] =
            &[$($(RouteSpec { method: stringify!($method), path: $path, needs: Needs::$needs }),+),*];

        /// The routes with their handlers.
        #[must_use]
        pub fn pages() -> Route {
            Route::new()$(.at($path, RouteMethod::new()$(.$method($handler))+))*
        }
    };
}

site! {
    "/" { get home::root: Anyone }
    "/healthz" { get plain::healthz: Anyone }
    "/readyz" { get plain::readyz: Anyone }
    "/assets/*path" { get plain::asset: Anyone }
    "/favicon.ico" { get plain::favicon: Anyone }
    "/ca.crt" { get gate::authority: Anyone }
    "/language" { post gate::language: Anyone }
    "/sign-in" { get gate::ask: Anyone, post gate::send_code: Anyone }
    "/sign-in/code" { get gate::ask_code: Anyone, post gate::enter_code: Anyone }
    "/sign-in/resend" { post gate::resend: Anyone }
    "/sign-in/link" { get gate::show_link: Anyone, post gate::follow_link: Anyone }
    "/invitations/:token" { get invitation::show: Anyone }
    "/invitations/:token/acceptance" { post invitation::accept: SignedIn }
    "/api/docs" { get api::docs: Anyone }
    "/hooks/:token" { post inbound::receive: Address }

    "/sign-out" { post gate::sign_out: SignedIn }
    "/organizations" { get home::choose: SignedIn }
    "/profile" { get profile::show: SignedIn, post profile::save: SignedIn }
    "/sessions/:session/revocation" { post profile::revoke_session: SignedIn }

    "/o/:org" { get home::show: Guest }
    "/o/:org/profile" { post profile::rename: Guest }
    "/o/:org/departure" { post members::leave: Guest }
    "/o/:org/boards" { post home::create_board: Member }
    "/o/:org/boards/new" { get home::new_board: Member }
    "/o/:org/boards/:board" { get board::show: Guest }
    "/o/:org/boards/:board/columns/:status" { get board::column: Guest }
    "/o/:org/boards/:board/live" { get live::follow: Guest }
    "/o/:org/boards/:board/list" { get list::show: Guest }
    "/o/:org/boards/:board/archive" { get list::archive: Guest, post board_settings::archive: Admin }
    "/o/:org/boards/:board/trash" { get list::trash: Guest }
    "/o/:org/boards/:board/cards" { post board::create_card: Member }
    "/o/:org/boards/:board/settings" { get board_settings::show: Admin, post board_settings::rename: Admin }
    "/o/:org/boards/:board/statuses" { post board_settings::add_status: Admin }
    "/o/:org/boards/:board/statuses/:status" { post board_settings::change_status: Admin }
    "/o/:org/boards/:board/statuses/:status/position" { post board_settings::move_status: Admin }
    "/o/:org/boards/:board/statuses/:status/removal" { post board_settings::remove_status: Admin }
    "/o/:org/boards/:board/labels" { post board_settings::add_label: Admin }
    "/o/:org/boards/:board/labels/:label" { post board_settings::change_label: Admin }
    "/o/:org/boards/:board/labels/:label/removal" { post board_settings::remove_label: Admin }
    "/o/:org/boards/:board/fields" { post board_settings::add_field: Admin }
    "/o/:org/boards/:board/fields/:field" { post board_settings::rename_field: Admin }
    "/o/:org/boards/:board/fields/:field/removal" { post board_settings::remove_field: Admin }
    "/o/:org/boards/:board/guests" { post board_settings::admit: Admin }
    "/o/:org/boards/:board/hooks" { get hooks::list: Admin, post hooks::create: Admin }
    "/o/:org/hooks/:hook" { get hooks::show: Admin, post hooks::rename: Admin }
    "/o/:org/hooks/:hook/removal" { post hooks::remove: Admin }
    "/o/:org/deliveries/:delivery" { get hooks::show_delivery: Admin }

    "/o/:org/cards/:card" { get card::show: Guest }
    "/o/:org/cards/:card/comments" { post card::comment: Guest }
    "/o/:org/cards/:card/values" { post card::set_value: Member }
    "/o/:org/cards/:card/position" { post board::move_card: Member }
    "/o/:org/cards/:card/assignees" { post card::assign: Member }
    "/o/:org/cards/:card/labels" { post card::label: Member }
    "/o/:org/cards/:card/archive" { post card::archive: Member }
    "/o/:org/cards/:card/trash" { post card::trash: Member }
    "/o/:org/cards/:card/restoration" { post card::restore: Member }

    "/o/:org/members" { get members::show: Guest }
    "/o/:org/members/:user/role" { post members::change_role: Admin }
    "/o/:org/members/:user/removal" { post members::remove: Admin }
    "/o/:org/invitations" { post members::invite: Admin }
    "/o/:org/invitations/:invitation/resending" { post members::resend: Admin }
    "/o/:org/invitations/:invitation/revocation" { post members::revoke: Admin }
    "/o/:org/settings" { get organization::show: Admin, post organization::rename: Admin }
    "/o/:org/tokens" { post organization::create_token: Admin }
    "/o/:org/tokens/:token/revocation" { post organization::revoke_token: Admin }

    "/console" { get console::overview: Operator }
    "/console/organizations" { get console::list_organizations: Operator, post console::create_organization: Operator }
    "/console/organizations/:org" { get quota::show: Operator, post quota::set: Operator }
    "/console/snapshots" { get snapshots::show: Operator, post snapshots::take: Operator }
    "/console/snapshots/progress" { get snapshots::progress: Operator }
    "/console/snapshots/:generation/verification" { post snapshots::verify: Operator }
    "/console/snapshots/:generation/pin" { post snapshots::pin: Operator }
    "/console/offsite" { post snapshots::copy_offsite: Operator }
    "/console/verification" { post snapshots::verify_live: Operator }
    "/console/rehearsal" { post snapshots::rehearse: Operator }
    "/console/mail" { get console::mail_queue: Operator }
}
