//! Makes sure that the folder of the built page exists, since it is embedded; an empty one is
//! served as a sentence that says how to build it.

use std::{fs, io};

const PAGE: &str = "dashboards/web/dist";

fn main() -> io::Result<()> {
    fs::create_dir_all(PAGE)?;
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={PAGE}");
    Ok(())
}
