//! Running: every part started in order, and stopped in the opposite one.

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use poem::{Server, listener::TcpListener};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::{
    backup::{self, Keeper},
    cli::{Output, show_recovery_key},
    clock::Clock,
    config::{Config, Snapshots, Surroundings, Tls},
    control::{self, Failure},
    hooks::target::Targets,
    ids::Secret,
    mail::courier::{self, Postbox},
    people::{PeopleError, directory, links, sagas},
    store::Stores,
    systemd::Notifier,
    tls,
    trail::Trail,
    web::{app::App, live::Streams, metrics, rates::Rates, site::site},
};

use super::{
    commands::Commands,
    foundation::{self, Foundation},
    janitor,
    vault::StoreVault,
};

/// How long requests in flight may take to finish when the appliance stops.
const FAREWELL: Duration = Duration::from_secs(30);

/// The address that people type: as configured, or as this machine can be reached.
#[must_use]
pub fn public_url(config: &Config, bound: Option<SocketAddr>) -> String {
    if let Some(url) = &config.public_url {
        return url.to_string().trim_end_matches('/').to_owned();
    }
    let scheme = if config.tls == Tls::Off { "http" } else { "https" };
    let address = bound.or_else(|| config.listen.first().copied());
    let Some(address) = address else { return format!("{scheme}://localhost") };
    let host = match address.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => "localhost".to_owned(),
        ip => SocketAddr::new(ip, 0).to_string().trim_end_matches(":0").to_owned(),
    };
    match (scheme, address.port()) {
        ("https", 443) | ("http", 80) => format!("{scheme}://{host}"),
        (_, port) => format!("{scheme}://{host}:{port}"),
    }
}

/// The keeper of an appliance's snapshots, as the settings say.
#[must_use]
pub fn keeper(config: &Config, stores: &Arc<Stores>, clock: Clock, public_url: &str, serving: bool) -> Keeper {
    let Snapshots { folder, window, level, threads } = config.snapshots.clone();
    // Pages that wait for a slice of the scheduler's wait longer than anything else takes: they have a core of their own.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if serving { threads.min(cores.saturating_sub(1)).max(1) } else { threads };
    let settings = backup::Settings {
        folder,
        window,
        level,
        threads,
        shapes: &super::shapes::SHAPES,
        zone: config.time_zone.clone(),
        offsite: config.offsite.clone(),
        scratch: offsite_scratch(config),
    };
    Keeper::new(Arc::clone(stores), settings, clock, public_url)
}

/// Where what is fetched from off-site stands for a while.
#[must_use]
pub fn offsite_scratch(config: &Config) -> PathBuf {
    config.data_dir.join("offsite")
}

fn tls_mode(config: &Config) -> Result<tls::Mode, Failure> {
    Ok(match &config.tls {
        Tls::Off => tls::Mode::Off,
        Tls::Internal { names } => tls::Mode::Internal { names: names.clone() },
        Tls::Files { cert, key } => tls::Mode::Files(tls::Files { certificate: cert.clone(), key: key.clone() }),
        Tls::Acme { names, directory, contact, root_file } => {
            let directory_root = root_file
                .as_ref()
                .map(|path| {
                    std::fs::read_to_string(path).map_err(|error| {
                        Failure::new(format!("cannot read acme_root_file {}: {error}", path.display()))
                    })
                })
                .transpose()?;
            tls::Mode::Acme(tls::Acme {
                directory: directory.clone(),
                contacts: contact.iter().map(|mail| format!("mailto:{mail}")).collect(),
                names: names.clone(),
                directory_root,
            })
        }
    })
}

/// Runs the appliance until it is told to stop.
///
/// # Errors
/// What kept it from starting; a running appliance does not fail.
pub async fn serve(config: Config, clock: Clock, output: Output) -> Result<(), Failure> {
    // Keys are in memory: no core dump may carry them, and no debugger of another user may read them.
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "this process can be dumped");
    }
    let terminal = std::io::stdout().is_terminal() && !output.json;
    let foundation = if Foundation::exists(&config) {
        Foundation::open(&config)?
    } else {
        let made = foundation::make(&config, &clock, terminal)?;
        tracing::info!(data_dir = %config.data_dir.display(), "made the data folder, a root key and a keyring");
        if terminal && !show_recovery_key(&made.recovery_key) {
            return Err(Failure::new("the recovery key could not be shown")
                .kept("the appliance was made, and starts with this key unseen")
                .hint("run `workrun keys recovery` for another one"));
        }
        made.foundation
    };
    let greeting = if terminal { Greeting::Terminal } else { Greeting::Quiet };
    run(config, clock, foundation, greeting).await
}

/// What is said, beside the log, once the appliance listens.
pub enum Greeting {
    /// Nothing: nobody looks.
    Quiet,
    /// Where to go; while there is no operator, with a link that makes one.
    Terminal,
    /// How to enter the sample as its owner.
    Sample {
        /// The secret of the owner's sign-in link.
        ticket: Secret<16>,
    },
}

/// Runs an opened data folder.
///
/// # Errors
/// As [`serve`].
pub async fn run(config: Config, clock: Clock, foundation: Foundation, greeting: Greeting) -> Result<(), Failure> {
    let told = told_to_stop();
    let stores = Arc::clone(&foundation.stores);
    let mark = RunMark::set(&foundation)?;
    if mark.recovered {
        tracing::warn!(
            "the last run did not end cleanly: the stores were recovered, and nothing that was answered is lost"
        );
    }
    let resumed = sagas::resume(&stores).await.map_err(|error| Failure::new(error.to_string()))?;
    if resumed > 0 {
        tracing::info!(resumed, "finished what an earlier run had left half done");
    }
    let (stop, stopping) = watch::channel(false);
    let vault = StoreVault { system: Arc::clone(stores.system()), runtime: tokio::runtime::Handle::current() };
    let listen = config.listen.iter().copied().map(tls::Listen::from).collect();
    let mut tls_stop = stopping.clone();
    let (acceptor, door) = tls::start(tls_mode(&config)?, listen, Arc::new(vault), clock.clone(), async move {
        let _ = tls_stop.wait_for(|stop| *stop).await;
    })
    .await
    .map_err(|error| Failure::new(error.to_string()))?;
    let trail = Arc::new(Trail::new(foundation.layout.clone(), Arc::clone(stores.keyring()), config.time_zone.clone()));
    let public_url = public_url(&config, door.first_tcp());
    let keeper = Arc::new(keeper(&config, &stores, clock.clone(), &public_url, true));
    let app = Arc::new(App {
        started_at: clock.now(),
        clock: clock.clone(),
        stores: Arc::clone(&stores),
        postbox: Arc::new(Postbox::default()),
        trail: Arc::clone(&trail),
        keeper: Arc::clone(&keeper),
        public_url,
        tls: door,
        zone: config.time_zone.clone(),
        mail_works: config.smtp.is_some(),
        epoch: foundation.epoch.clone(),
        webhook_body_max: config.webhook_body_max,
        targets: Targets::default(),
        rates: Rates::default(),
        streams: Arc::new(Streams::default()),
        stopping: stopping.clone(),
    });
    let listener = control::Listener::bind(&config.data_dir).await.map_err(|error| Failure::from(&error))?;

    let mut parts = JoinSet::new();
    let commands = Arc::new(Commands::running(&config, Arc::clone(&app), mark.recovered));
    let mut control_stop = stopping.clone();
    parts.spawn(listener.serve(commands, async move {
        let _ = control_stop.wait_for(|stop| *stop).await;
    }));
    parts.spawn(courier::run(
        Arc::clone(&stores),
        Arc::clone(&app.postbox),
        config.smtp.clone(),
        clock.clone(),
        config.time_zone.clone(),
        stopping.clone(),
    ));
    parts.spawn(Arc::clone(&trail).run(stopping.clone()));
    parts.spawn(janitor::run(Arc::clone(&stores), Arc::clone(&keeper), clock.clone(), stopping.clone()));
    parts.spawn(Arc::clone(&keeper).run_offsite(stopping.clone()));
    parts.spawn(keeper.run(stopping.clone()));
    if let Some(address) = config.metrics_listen {
        parts.spawn(serve_metrics(Arc::clone(&app), address, stopping.clone()));
    }
    let notifier = Surroundings::of_process().and_then(|surroundings| Notifier::new(&surroundings)).ok();
    announce(&app, greeting).await?;
    if let Some(notifier) = notifier {
        notifier.ready();
        parts.spawn(watch_over(notifier, Arc::clone(&app), stopping.clone()));
    }

    let stopped = stop.clone();
    let served = Server::new_with_acceptor(acceptor)
        .name("workrun")
        .run_with_graceful_shutdown(
            site(Arc::clone(&app)),
            async move {
                told.await;
                tracing::info!("stopping: requests in flight are finished first");
                // Live streams end now; they would hold up the farewell.
                stopped.send_replace(true);
            },
            Some(FAREWELL),
        )
        .await;
    stop.send_replace(true);
    while parts.join_next().await.is_some() {}
    let closing = Arc::clone(&stores);
    let closed = tokio::task::spawn_blocking(move || closing.close()).await;
    if closed.is_ok() {
        mark.clear();
        tracing::info!("stopped");
    }
    served.map_err(|error| Failure::new(format!("serving ended: {error}")))
}

/// Serves `/metrics` where the settings say. An address that cannot be had keeps the appliance from nothing else.
async fn serve_metrics(app: Arc<App>, address: SocketAddr, mut stop: watch::Receiver<bool>) {
    let told = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let served = Server::new(TcpListener::bind(address))
        .name("metrics")
        .run_with_graceful_shutdown(metrics::site(app), told, Some(Duration::from_secs(1)))
        .await;
    if let Err(error) = served {
        tracing::error!(%error, %address, "no metrics are served: choose another metrics_listen");
    }
}

/// Resolves when the process is told to stop. The signals are caught from this call on, so that one that comes while the
/// parts still start is not missed.
fn told_to_stop() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
            // Without signals there is nobody to tell: the process ends when it is killed, which is safe too.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Says where to go.
async fn announce(app: &Arc<App>, greeting: Greeting) -> Result<(), Failure> {
    tracing::info!(url = %app.public_url, "ready");
    let operators = app
        .stores
        .system()
        .read(|view| directory::operators(view))
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    if let Greeting::Sample { ticket } = &greeting {
        println!("\nA sample organization, in a folder that goes away when this ends.");
        println!("Sign in as its owner (once, within 24 hours):");
        println!("  {}/sign-in/link?t={}", app.public_url, ticket.text());
        println!("Ctrl-C stops it.\n");
        return Ok(());
    }
    if matches!(greeting, Greeting::Quiet) {
        if operators.is_empty() {
            tracing::warn!("there is no operator yet: `workrun sign-in-link MAIL --operator` makes one");
        }
        return Ok(());
    }
    println!("\nWorkrun is at {}", app.public_url);
    if operators.is_empty() {
        let (secret, now) = (Secret::<16>::fresh(), app.now());
        let kept = secret.clone();
        app.stores
            .system()
            .submit(64, move |txn| {
                let link =
                    links::Link { purpose: links::Purpose::FirstOperator, expires_at: now.plus(links::LIFE_FIRST) };
                Ok::<_, PeopleError>(links::put(txn, &kept, &link)?)
            })
            .await
            .map_err(|error| Failure::new(error.to_string()))?;
        println!("Become its first operator (once, within 24 hours):");
        println!("  {}/sign-in/link?t={}", app.public_url, secret.text());
    }
    println!("Ctrl-C stops it.\n");
    Ok(())
}

/// Tells the service manager that the appliance lives, as long as its system store answers.
async fn watch_over(notifier: Notifier, app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let Some(interval) = notifier.watchdog_interval() else {
        let _ = stop.wait_for(|stop| *stop).await;
        notifier.stopping();
        return;
    };
    loop {
        if app.stores.system().read(|view| directory::operators(view)).await.is_ok() {
            notifier.watchdog();
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    notifier.stopping();
}

/// A file that stands while the appliance runs: if it stands at the start, the last run was cut off.
struct RunMark {
    path: PathBuf,
    recovered: bool,
}

impl RunMark {
    fn set(foundation: &Foundation) -> Result<Self, Failure> {
        let path = foundation.layout.live().join("running");
        let recovered = path.exists();
        std::fs::write(&path, b"").map_err(|error| {
            Failure::new(format!("cannot write into {}: {error}", foundation.layout.live().display()))
        })?;
        Ok(Self { path, recovered })
    }

    fn clear(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, "the next start will take this run for one that was cut off");
        }
    }
}
