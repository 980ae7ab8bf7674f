//! Every route with every kind of caller: who enters, who is sent to sign in, who is told no, and to whom it does not exist.
//!
//! The site map is the product's own (`web::routes::ROUTES`, `web::api::ROUTES`), and routes come into existence by it alone,
//! so a new one is walked here from its first day. What stands in the map is compared with what the binary does.

mod harness;

use std::collections::{BTreeMap, BTreeSet};

use harness::{Answer, Api, Appliance, Browser, Connection, Setup, ids_after};
use serde_json::json;
use workrun::{
    people::Role,
    web::{
        api,
        routes::{Needs, ROUTES, RouteSpec},
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Nobody,
    /// The owner of another organization on the same appliance.
    Foreign,
    Operator,
    Guest,
    Member,
    Admin,
    Owner,
}

impl Who {
    const ALL: [Self; 7] =
        [Self::Nobody, Self::Foreign, Self::Operator, Self::Guest, Self::Member, Self::Admin, Self::Owner];

    fn role(self) -> Option<Role> {
        match self {
            Self::Nobody | Self::Foreign | Self::Operator => None,
            Self::Guest => Some(Role::Guest),
            Self::Member => Some(Role::Member),
            Self::Admin => Some(Role::Admin),
            Self::Owner => Some(Role::Owner),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reception {
    /// The handler takes the request, whatever it then says about it.
    Enters,
    /// To the sign-in page and back.
    SignsIn,
    /// 403, for a member whose role does not reach.
    Refused,
    /// 404, as for something that does not exist.
    Unseen,
}

/// What the site map promises.
fn promised(route: &RouteSpec, who: Who) -> Reception {
    let least = match route.needs {
        Needs::Anyone | Needs::Address => return Reception::Enters,
        Needs::SignedIn if who == Who::Nobody => return Reception::SignsIn,
        Needs::SignedIn => return Reception::Enters,
        _ if who == Who::Nobody => return Reception::SignsIn,
        Needs::Operator if who == Who::Operator => return Reception::Enters,
        Needs::Operator => return Reception::Unseen,
        Needs::Guest => Role::Guest,
        Needs::Member => Role::Member,
        Needs::Admin => Role::Admin,
        Needs::Owner => Role::Owner,
    };
    match who.role() {
        None => Reception::Unseen,
        Some(role) if role < least => Reception::Refused,
        // Guests see only the boards that they were admitted to, and to these they were not.
        Some(Role::Guest) if route.path.contains("/:board") || route.path.contains("/:card") => Reception::Unseen,
        Some(_) => Reception::Enters,
    }
}

/// What the binary did.
fn reception(route: &RouteSpec, answer: &Answer) -> Reception {
    let to_sign_in = answer.status == 303 && answer.location().starts_with("/sign-in?next=");
    match answer.status {
        401 => Reception::SignsIn,
        303 if to_sign_in && route.method == "get" => Reception::SignsIn,
        403 => Reception::Refused,
        404 => Reception::Unseen,
        _ => Reception::Enters,
    }
}

/// An organization with one of everything, and people of every role.
struct World {
    appliance: Appliance,
    org: String,
    api: Api,
    people: BTreeMap<Who, Browser>,
    owner: Browser,
    foreign_org: String,
    generation: String,
    made: usize,
}

impl World {
    fn new() -> Self {
        let appliance = Appliance::with(Setup { tls: Some("internal"), mail: true, ..Setup::default() });
        let org = appliance.found("青空商会", "owner@example.test");
        let foreign_org = appliance.found("隣の会社", "foreign@example.test");
        let mut owner = appliance.sign_in("owner@example.test");
        let mut people = BTreeMap::from([
            (Who::Nobody, appliance.browser()),
            (Who::Foreign, appliance.sign_in("foreign@example.test")),
            (Who::Operator, appliance.operator("operator@example.test")),
            (Who::Owner, owner.clone()),
        ]);
        for (who, role) in [(Who::Guest, "guest"), (Who::Member, "member"), (Who::Admin, "admin")] {
            people.insert(who, appliance.join(&mut owner, &org, &format!("{role}@example.test"), role, role));
        }
        let api = appliance.api(&org, "owner");
        let taken = appliance.command(&["snapshot"]);
        let generation = taken["generation"].as_str().expect("a name").to_owned();
        Self { appliance, org, api, people, owner, foreign_org, generation, made: 0 }
    }

    /// Somebody of that kind whom nobody needs afterwards.
    fn somebody(&mut self, who: Who) -> Browser {
        self.made += 1;
        let mail = format!("somebody-{}@example.test", self.made);
        match who.role() {
            None if who == Who::Nobody => self.appliance.browser(),
            None if who == Who::Operator => self.appliance.operator(&mail),
            None => self.appliance.sign_in("foreign@example.test"),
            Some(Role::Owner) => self.appliance.sign_in("owner@example.test"),
            Some(role) => self.appliance.join(&mut self.owner, &self.org, &mail, "だれか", role.name()),
        }
    }

    fn board(&self) -> serde_json::Value {
        self.api.board("板", &["新着", "完了"], &[("tel", "電話")])
    }

    fn card(&self) -> String {
        let board = self.board();
        let path = format!("boards/{}/cards", board["id"].as_str().expect("an id"));
        let card = self.api.post(&path, &json!({ "title": "札" })).expect(201).json();
        card["id"].as_str().expect("an id").to_owned()
    }

    fn hook(&self) -> serde_json::Value {
        self.api.hook(self.board()["id"].as_str().expect("an id"), "secret-url")
    }

    /// An invitation's id and the path of its link.
    fn invitation(&mut self) -> (String, String) {
        self.made += 1;
        let mail = format!("invited-{}@example.test", self.made);
        let invitations = format!("/o/{}/invitations", self.org);
        self.owner.post(&invitations, &[("mail", &mail), ("role", "member")]).expect(303);
        let page = self.owner.page(&format!("/o/{}/members", self.org));
        let id = ids_after(page.split_once(&mail).expect("the invitation").1, "/invitations/").remove(0);
        let letter = self.appliance.mailbox().newest(&mail, "/invitations/");
        (id, self.appliance.path_of(&letter, "/invitations/"))
    }

    /// The route's path with something real of this organization in each place, made for this one request.
    fn path(&mut self, route: &RouteSpec, caller: &mut Browser) -> String {
        let mut path = route.path.replace(":org", &self.org);
        let board = path.contains(":board").then(|| self.board());
        if let Some(board) = &board {
            let id = board["id"].as_str().expect("an id").to_owned();
            if path.contains(":label") {
                let labels = format!("/o/{}/boards/{id}/labels", self.org);
                self.owner.post(&labels, &[("name", "急ぎ"), ("hue", "1")]).expect(303);
                let page = self.owner.page(&format!("/o/{}/boards/{id}/settings", self.org));
                path = path.replace(":label", &ids_after(&page, "/labels/")[0]);
            }
            path = path.replace(":status", board["statuses"][0]["id"].as_str().expect("an id"));
            path = path.replace(":field", board["fields"][0]["id"].as_str().expect("an id"));
            path = path.replace(":board", &id);
        }
        if path.contains(":card") {
            path = path.replace(":card", &self.card());
        }
        if path.contains(":hook") {
            path = path.replace(":hook", self.hook()["id"].as_str().expect("an id"));
        }
        if path.contains(":delivery") {
            let hook = self.hook();
            let url = hook["url"].as_str().expect("an address");
            let answer = self.appliance.deliver(url, &[("Content-Type", "application/json")], b"{}").expect(200).json();
            path = path.replace(":delivery", answer["delivery"].as_str().expect("an id"));
        }
        if path.contains(":user") {
            let before = ids_after(&self.owner.page(&format!("/o/{}/members", self.org)), "/members/");
            self.somebody(Who::Guest);
            let after = ids_after(&self.owner.page(&format!("/o/{}/members", self.org)), "/members/");
            let user = after.iter().find(|id| !before.contains(id)).expect("somebody new");
            path = path.replace(":user", user);
        }
        if path.contains(":invitation") {
            path = path.replace(":invitation", &self.invitation().0);
        }
        // Nobody's session: one's own would be the end of the caller.
        path = path.replace(":session", &"0".repeat(26));
        path = path.replace(":generation", &self.generation);
        if path.starts_with("/invitations/:token") {
            path = path.replace("/invitations/:token", &self.invitation().1);
        } else if path == "/hooks/:token" {
            let url = self.hook()["url"].as_str().expect("an address").to_owned();
            path = format!("/hooks/{}", url.rsplit('/').next().expect("a secret"));
        } else if path.contains(":token") {
            let tokens = format!("/o/{}/tokens", self.org);
            self.made += 1;
            let name = format!("token {}", self.made);
            self.owner.post(&tokens, &[("name", &name), ("role", "guest"), ("days", "30")]).expect(200);
            let page = self.owner.page(&format!("/o/{}/settings", self.org));
            path = path.replace(":token", &ids_after(&page, "/tokens/")[0]);
        }
        if path.contains("*path") {
            let page = caller.get("/sign-in?mail=").text();
            let page = if page.contains("/assets/") { page } else { self.appliance.browser().page("/sign-in") };
            path = format!("/assets/{}", harness::text_between(&page, "/assets/", "\""));
        }
        if path == "/sign-in/link" {
            path = format!("{path}?t={}", "0".repeat(26));
        } else if path.contains("/columns/") {
            path = format!("{path}?after={}", self.card());
        }
        assert!(!path.contains([':', '*']), "what stands for the names in {path}? Teach this test to make one");
        path
    }

    /// One request to a route by somebody.
    fn ask(&mut self, route: &RouteSpec, who: Who) -> (String, Answer) {
        // What ends the caller's session or membership is asked by somebody whom nobody needs afterwards.
        let spent = ["/sign-out", "/o/:org/departure"].contains(&route.path);
        let mut caller = if spent { self.somebody(who) } else { self.people[&who].clone() };
        let path = self.path(route, &mut caller);
        let answer = match route.method {
            "get" if path.ends_with("/live") => (path.clone(), head_only(&self.appliance, &caller, &path)).1,
            "get" => caller.get(&path),
            // Whole where it must be for what is asked about to be looked up.
            "post" if path.ends_with("/comments") => caller.post(&path, &[("body", "?")]),
            "post" => caller.post(&path, &[]),
            other => panic!("teach this test to send {other}"),
        };
        (path, answer)
    }
}

/// The beginning of an answer that has no end.
fn head_only(appliance: &Appliance, caller: &Browser, path: &str) -> Answer {
    let mut connection = Connection::open(appliance.endpoint()).expect("a connection");
    let cookie = format!("__Host-workrun={}", caller.cookie("__Host-workrun").unwrap_or("none"));
    connection.request("GET", path, &[("Cookie", &cookie)], b"").expect("sent");
    let (status, headers) = connection.head().expect("an answer");
    Answer { status, headers, body: Vec::new() }
}

#[test]
fn every_route_receives_every_caller_as_the_site_map_says() {
    let mut world = World::new();
    assert!(ROUTES.len() > 50, "the site map was found: {}", ROUTES.len());
    let mut complaints = Vec::new();
    for route in ROUTES {
        assert!(
            !route.path.starts_with("/o/") || !matches!(route.needs, Needs::Anyone | Needs::SignedIn | Needs::Address),
            "{} is inside an organization and needs no role there",
            route.path
        );
        for who in Who::ALL {
            let (path, answer) = world.ask(route, who);
            let (promised, done) = (promised(route, who), reception(route, &answer));
            if promised != done || answer.status >= 500 {
                complaints.push(format!(
                    "{} {} by {who:?}: {promised:?} is promised, {done:?} ({}) came of {path}",
                    route.method, route.path, answer.status
                ));
            }
            // Who is turned away learns nothing of what is there.
            if done != Reception::Enters && answer.text().contains("青空商会") {
                complaints.push(format!("{} {} tells {who:?} whose it is", route.method, route.path));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn what_belongs_to_another_organization_does_not_exist_in_ones_own() {
    let mut world = World::new();
    let mut foreign = world.people[&Who::Foreign].clone();
    let mut complaints = Vec::new();
    for route in ROUTES.iter().filter(|route| route.path.starts_with("/o/:org/") && route.path[8..].contains(':')) {
        let theirs = world.path(route, &mut foreign);
        let path = theirs.replace(&world.org, &world.foreign_org);
        let answer = match route.method {
            "get" if path.ends_with("/live") => head_only(&world.appliance, &foreign, &path),
            "get" => foreign.get(&path),
            _ => foreign.post(&path, &[]),
        };
        // A form that is not whole may be refused before anything is looked up.
        if !matches!(answer.status, 404 | 400 | 422) || route.method == "get" && answer.status != 404 {
            complaints.push(format!("{} {path}: {}", route.method, answer.status));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    // And nobody ends a session that is not theirs.
    let mut owner = world.owner.clone();
    let mut elsewhere = world.appliance.sign_in("owner@example.test");
    let sessions = ids_after(&elsewhere.page("/profile"), "/sessions/");
    assert_eq!(sessions.len(), 1, "the one that is not this");
    let session = &sessions[0];
    foreign.post(&format!("/sessions/{session}/revocation"), &[]);
    owner.get("/profile").expect(200);
    elsewhere.post(&format!("/sessions/{session}/revocation"), &[]).expect(303);
    owner.get("/profile").expect(303);
}

#[test]
fn no_other_site_can_send_a_form() {
    let world = World::new();
    let path = format!("/o/{}/boards", world.org);
    let mut owner = world.owner.clone();
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let origin = world.appliance.endpoint().origin.clone();
    let body = harness::form(&[("name", "よそから"), ("template", "empty")]);
    for headers in [
        vec![form],
        vec![form, ("Sec-Fetch-Site", "cross-site"), ("Origin", origin.as_str())],
        vec![form, ("Sec-Fetch-Site", "same-site")],
        vec![form, ("Sec-Fetch-Site", "none")],
        vec![form, ("Origin", "https://evil.example")],
        vec![form, ("Origin", "null")],
    ] {
        owner.send("POST", &path, &headers, body.as_bytes()).expect(403);
    }
    assert!(!owner.page(&format!("/o/{}", world.org)).contains("よそから"));
    owner.send("POST", &path, &[form, ("Origin", &origin)], body.as_bytes()).expect(303);
    // And no method changes anything that is not meant to.
    for method in ["PUT", "DELETE", "PATCH"] {
        let headers = [form, ("Sec-Fetch-Site", "same-origin")];
        owner.send(method, &path, &headers, body.as_bytes()).expect(405);
    }
}

#[test]
fn every_operation_of_the_api_receives_every_token_as_its_list_says() {
    let world = World::new();
    let document = world.appliance.browser().get("/api/v1/openapi.json").expect(200).json();
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let listed: BTreeSet<_> =
        api::ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(described, listed, "the document and the list name the same operations");

    let tokens: Vec<(Option<Role>, Api)> = Role::ALL
        .into_iter()
        .map(|role| (Some(role), world.appliance.api(&world.org, role.name())))
        .chain([(None, world.appliance.api(&world.foreign_org, "owner"))])
        .collect();
    let mut complaints = Vec::new();
    for (method, path, least) in api::ROUTES {
        for (role, api) in &tokens {
            let mut filled = format!("/api/v1{path}").replace("{org}", &world.org);
            if filled.contains("{board}") {
                filled = filled.replace("{board}", world.board()["id"].as_str().expect("an id"));
            }
            if filled.contains("{card}") {
                filled = filled.replace("{card}", &world.card());
            }
            if filled.contains("{hook}") {
                filled = filled.replace("{hook}", world.hook()["id"].as_str().expect("an id"));
            }
            assert!(!filled.contains('{'), "what stands for the names in {filled}? Teach this test to make one");
            let json = [("Content-Type", "application/json")];
            // Whole where it must be for what is asked about to be looked up.
            let body: &[u8] = if path.ends_with("/comments") { br#"{"body":"?"}"# } else { b"{}" };
            let status = api.send(method, &filled, &json, body).status;
            let promised = match role {
                None => Reception::Unseen,
                Some(role) if role < least => Reception::Refused,
                Some(Role::Guest) if path.contains("{board}") || path.contains("{card}") => Reception::Unseen,
                Some(_) => Reception::Enters,
            };
            let done = match status {
                401 => Reception::SignsIn,
                403 => Reception::Refused,
                404 => Reception::Unseen,
                _ => Reception::Enters,
            };
            if promised != done || status >= 500 {
                complaints
                    .push(format!("{method} {path} by {role:?}: {promised:?} is promised, {done:?} ({status}) came"));
            }
            // A session is no token, and neither is nothing or nonsense.
            let cookie = format!("__Host-workrun={}", world.owner.cookie("__Host-workrun").expect("a session"));
            for header in [("Cookie", cookie.as_str()), ("X-Nothing", ""), ("Authorization", "Bearer wr_nonsense")] {
                let mut connection = Connection::open(world.appliance.endpoint()).expect("a connection");
                let answer = connection.send(method, &filled, &[header, json[0]], b"{}").expect("an answer");
                if answer.status != 401 {
                    complaints.push(format!("{method} {path} with {}: {}", header.0, answer.status));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_token_ends_with_its_revocation_and_its_maker() {
    let mut world = World::new();
    let mut admin = world.people[&Who::Admin].clone();
    let made = admin.post(&format!("/o/{}/tokens", world.org), &[("name", "手元"), ("role", "admin"), ("days", "30")]);
    let page = made.expect(200).text();
    let token =
        page.split("wr_").skip(1).map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric).collect::<String>());
    let token = format!("wr_{}", token.max_by_key(String::len).expect("the token is shown"));
    let api = Api::new(world.appliance.endpoint().clone(), &world.org, &token);
    api.get("audit").expect(200);
    // It never does more than its maker may do now.
    let members = world.owner.page(&format!("/o/{}/members", world.org));
    let row = members.split_once("admin@example.test").expect("the admin's row").1;
    let admin_id = ids_after(row, "/members/").remove(0);
    world.owner.post(&format!("/o/{}/members/{admin_id}/role", world.org), &[("role", "member")]).expect(303);
    api.get("audit").expect(403);
    api.get("boards").expect(200);
    world.owner.post(&format!("/o/{}/members/{admin_id}/removal", world.org), &[]).expect(303);
    api.get("boards").expect(401);
    admin.get(&format!("/o/{}", world.org)).expect(404);
    // Revoked at once.
    let api = world.api.clone();
    let page = world.owner.page(&format!("/o/{}/settings", world.org));
    for id in ids_after(&page, "/tokens/") {
        world.owner.post(&format!("/o/{}/tokens/{id}/revocation", world.org), &[]).expect(303);
    }
    api.get("boards").expect(401);
}
