//! Workloads that are really run.

/// A workload file, and whether it is for CPython.
pub(crate) struct Live {
    pub(crate) name: &'static str,
    pub(crate) is_python: bool,
    toml: &'static str,
}

impl Live {
    /// The file.
    pub(crate) fn file(&self) -> String {
        format!("name = \"{}\"\n{}", self.name, self.toml)
    }
}

const CPU: &str = "[[step]]\nkind = \"cpu\"\nkernel = \"primes\"\ntime = \"2ms\"\n";
const WAIT: &str = "[[step]]\nkind = \"wait\"\ntime = \"8ms\"\n";
// About 1 ms. (An input is the same work in every session; what a time comes to may differ by half, of this kernel.)
const MIX: &str =
    "[[step]]\nkind = \"wait\"\ntime = \"8ms\"\n[[step]]\nkind = \"cpu\"\nkernel = \"json\"\ninput = \"96KiB\"\n";
const LOCK: &str =
    "[[step]]\nkind = \"cpu\"\nkernel = \"loop\"\ntime = \"200us\"\n[[step]]\nkind = \"lock\"\nhold = \"500us\"\n";
const TINY: &str = "[[step]]\nkind = \"cpu\"\nkernel = \"loop\"\ninput = \"64B\"\n";
const PAYLOAD: &str =
    "[[step]]\nkind = \"cpu\"\nkernel = \"loop\"\ntime = \"1ms\"\n[payload]\ninput = \"1MiB\"\noutput = \"1MiB\"\n";
const RELEASES: &str = "[[step]]\nkind = \"cpu\"\nkernel = \"sha256\"\ninput = \"1MiB\"\n";

/// All of them: tasks are short, so that a session is, too.
pub(crate) const LIVE: [Live; 17] = [
    Live { name: "cpu-2ms", is_python: false, toml: CPU },
    Live { name: "wait-8ms", is_python: false, toml: WAIT },
    Live { name: "lock", is_python: false, toml: LOCK },
    Live {
        name: "queue",
        is_python: false,
        toml: "[[step]]\nkind = \"cpu\"\nkernel = \"json\"\ninput = \"28KiB\"\n[[step]]\nkind = \"queue\"\ncapacity = 64\ntime = \"100us\"\nwork = \"cpu\"\nkernel = \"loop\"\n",
    },
    Live { name: "mix", is_python: false, toml: MIX },
    Live { name: "payload-1MiB", is_python: false, toml: PAYLOAD },
    Live { name: "tiny", is_python: false, toml: TINY },
    Live {
        name: "long-30ms",
        is_python: false,
        toml: "[load]\nmax_in_flight = 8\n[[step]]\nkind = \"cpu\"\nkernel = \"loop\"\ntime = \"30ms\"\n",
    },
    Live {
        name: "wait-8-allowed",
        is_python: false,
        toml: "[load]\nmax_in_flight = 8\n[[step]]\nkind = \"wait\"\ntime = \"4ms\"\n",
    },
    Live {
        name: "cpu-100us",
        is_python: false,
        toml: "[[step]]\nkind = \"cpu\"\nkernel = \"sort\"\ninput = \"80KiB\"\n",
    },
    Live { name: "python-cpu-2ms", is_python: true, toml: CPU },
    Live { name: "python-wait-8ms", is_python: true, toml: WAIT },
    Live { name: "python-mix", is_python: true, toml: MIX },
    Live { name: "python-releases", is_python: true, toml: RELEASES },
    Live { name: "python-tiny", is_python: true, toml: TINY },
    Live { name: "python-payload-1MiB", is_python: true, toml: PAYLOAD },
    Live { name: "python-lock", is_python: true, toml: LOCK },
];
