//! What the bench ran on, for the head of its report.

/// One line about the machine: processor, cores, memory, kernel.
pub fn line() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key))
            .map(|rest| rest.trim_start_matches([' ', '\t', ':']).trim().to_owned())
    };
    let model = after(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory =
        after(&read("/proc/meminfo"), "MemTotal").and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok());
    let memory = memory.map_or_else(String::new, |kibibytes| format!(", {} GiB", kibibytes >> 20));
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    format!("{model}, {cores} cores{memory}, {} {kernel}", std::env::consts::OS)
}
