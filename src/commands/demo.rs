//! `tidemark demo`: the service on a fresh folder, with three firms whose events keep coming.

mod feed;
mod firms;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use tenancy::{Role, RoleSet, Secret};

use self::feed::{Feed, Firm};
use super::connection::Connection;
use super::serve::{failure, stop_signal};
use super::{Failure, grouped, logs, service_runtime, token};
use crate::config::Config;
use crate::serve;

#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080))]
    listen: SocketAddr,
}

impl Demo {
    pub(super) fn run(self) -> Result<(), Failure> {
        logs::begin("warn")?;
        let folder =
            tempfile::Builder::new().prefix("tidemark-demo-").tempdir().map_err(|error| {
                Failure::Failed(format!(
                    "cannot make a folder for the demo: {error}; set TMPDIR to one"
                ))
            })?;
        let served = service_runtime()?.block_on(self.serve(folder.path().to_owned()));
        let removed = folder.close().map_err(|error| {
            Failure::Failed(format!("the folder of the demo is left behind: {error}"))
        });
        served.and(removed)
    }

    async fn serve(self, data: PathBuf) -> Result<(), Failure> {
        let stop = stop_signal()?;
        let secret = Secret::random().map_err(Failure::failed)?;
        let config = Config {
            listen: self.listen,
            data,
            jwt_secrets: vec![secret.clone()],
            ..Config::default()
        };
        let running = serve::start(config).await.map_err(failure)?;
        let address = running.address;
        let (finish, finished) = tokio::sync::oneshot::channel();
        let feeding = async move {
            let told = tell(address, &secret).await;
            // Gone only when the service has ended by itself, which says why.
            let _ended = finish.send(told);
        };
        let feeding = tokio::spawn(feeding);
        let mut outcome = Ok(());
        let stopped = async {
            tokio::select! {
                () = stop => {}
                told = finished => if let Ok(Err(failed)) = told { outcome = Err(failed) },
            }
        };
        let served = running.until_shutdown(stopped).await.map_err(failure);
        feeding.abort();
        outcome.and(served)
    }
}

/// Tells the past of all firms, says where to look, and lets the present go on for ever.
async fn tell(address: SocketAddr, secret: &Secret) -> Result<(), Failure> {
    let url = format!("http://{}", reachable(address));
    let platform = token::make(secret, None, RoleSet::of(&[Role::Platform]))?;
    let platform = Connection::new(&url, platform, None)?;
    eprintln!("tidemark: telling the last eighteen months of three firms …");
    let mut feed = Feed::default();
    for firm in firms::FIRMS {
        feed.add(Firm::create(firm, &platform, secret).await?);
    }
    let events = feed.past().await?;
    announce(&url, secret, events)?;
    feed.present().await
}

/// An address that a browser on this machine can open.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}

fn announce(url: &str, secret: &Secret, events: u64) -> Result<(), Failure> {
    println!("{} events are in, and more keep coming.", grouped(events));
    for (index, firm) in firms::FIRMS.iter().enumerate() {
        let token = token::make(secret, Some(firm.tenant()?), RoleSet::of(&[Role::Admin]))?;
        match index {
            0 => println!("\nOpen this address:\n"),
            1 => println!("\nThe other firms:\n"),
            _ => println!(),
        }
        println!("  {} ({})\n  {url}/#token={token}", firm.name, firm.about);
    }
    println!("\nCtrl-C ends the demo and removes its data.");
    Ok(())
}
