//! A way to a server that can be closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// An address behind which `behind` answers while the door is open; who comes else is sent away.
pub(super) async fn door(behind: &str) -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let is_open = Arc::new(AtomicBool::new(true));
    let (behind, seen) = (behind.to_owned(), Arc::clone(&is_open));
    tokio::spawn(async move {
        while let Ok((mut outer, _)) = listener.accept().await {
            if !seen.load(Ordering::SeqCst) {
                continue;
            }
            let (behind, seen) = (behind.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let mut inner = TcpStream::connect(behind).await.unwrap();
                let closed = async {
                    while seen.load(Ordering::SeqCst) {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut outer, &mut inner) => {}
                    () = closed => {}
                }
            });
        }
    });
    (address, is_open)
}
