//! What a process takes of the machine, as Linux counts it.

use std::fs;

use crate::Failure;

/// Bytes resident now.
pub(crate) fn resident(pid: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_ascii_whitespace().next());
    Ok(kilobytes.ok_or("no VmRSS in its status")?.parse::<u64>()? * 1024)
}

/// Seconds of CPU so far: its own, and the kernel's for it.
pub(crate) fn cpu(pid: u32) -> Result<f64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // After the name, which may hold anything, the 12th and 13th are hundredths of seconds.
    let after = stat.rsplit_once(')').ok_or("no name in stat")?.1;
    let ticks = after.split_ascii_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}
