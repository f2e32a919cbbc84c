//! Two networks that a link joins, in namespaces of their own: the host's own network stays as it is.
//!
//! They need root, iproute2 and util-linux. Where they cannot be made, tests that need them are skipped with a word, unless
//! `CONBENCH_REQUIRE_NAMESPACES` is set. They are gone with the processes that hold them, which end with the test.

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

/// The near end's address on the link.
const NEAR: &str = "10.97.0.1";
/// The far end's.
pub const FAR: &str = "10.97.0.2";
/// One that nobody has.
pub const NOBODY: &str = "10.97.0.8";
/// One that the near end knows a neighbour for, who drops all that comes.
pub const MUTE: &str = "10.97.0.9";

/// Where iproute2 may be that is not on a user's PATH.
const ADMINISTRATORS_PATH: &str = "/usr/sbin:/sbin";

/// A network, and the process that holds it.
struct Namespace(Child);

impl Namespace {
    fn make() -> Result<Namespace, String> {
        let mut command = Command::new("unshare");
        // It ends with its input, and so with the test, however that ends. It answers once the namespace is made.
        command.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut held = Namespace(command.spawn().map_err(|error| format!("unshare: {error}"))?);
        let mut answer = [0];
        let asked = held.0.stdin.as_mut().expect("a pipe").write_all(b".");
        let answered = std::io::Read::read_exact(held.0.stdout.as_mut().expect("a pipe"), &mut answer);
        match asked.and(answered) {
            Ok(()) => Ok(held),
            Err(_) => {
                let mut said = String::new();
                let _ = std::io::Read::read_to_string(held.0.stderr.as_mut().expect("a pipe"), &mut said);
                Err(said)
            }
        }
    }

    /// A program in it, which this process starts itself: `nsenter` becomes the program.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.0.id())).arg("--").arg(program);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:{ADMINISTRATORS_PATH}"));
        command
    }

    /// Does what a line of a shell without quotes says.
    fn run(&self, line: &str) -> Result<String, String> {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a program");
        let ran = self.command(program).args(words).stdin(Stdio::null()).output();
        let ran = ran.map_err(|error| format!("nsenter: {error}"))?;
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        if ran.status.success() {
            Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
        } else {
            Err(format!("`{line}`: {said}"))
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two networks and the link between them.
pub struct Namespaces {
    near: Namespace,
    far: Namespace,
}

impl Namespaces {
    /// Two that a link joins which carries so many bits a second each way; `None`, with a word about the skip, where they
    /// cannot be made.
    pub fn joined(bits_per_s: u32) -> Option<Namespaces> {
        match Namespaces::try_joined(bits_per_s) {
            Ok(made) => Some(made),
            Err(why) => {
                let reason = format!("no network namespaces with iproute2 can be made here: {}", why.trim());
                assert!(std::env::var_os("CONBENCH_REQUIRE_NAMESPACES").is_none(), "{reason}");
                super::pythons::skipped(&reason);
                None
            }
        }
    }

    fn try_joined(bits_per_s: u32) -> Result<Namespaces, String> {
        let (near, far) = (Namespace::make()?, Namespace::make()?);
        near.run(&format!("ip link add near type veth peer name far netns {}", far.0.id()))?;
        for (end, name, address) in [(&near, "near", NEAR), (&far, "far", FAR)] {
            end.run("ip link set lo up")?;
            end.run(&format!("ip address add {address}/24 dev {name}"))?;
            // (IPv6 would greet its neighbours.)
            end.run(&format!("ip link set {name} addrgenmode none up"))?;
            let limit = format!("rate {bits_per_s}bit burst 16kb latency 400ms");
            end.run(&format!("tc qdisc add dev {name} root tbf {limit}"))?;
        }
        near.run(&format!("ip neighbour add {MUTE} lladdr 02:00:00:00:00:09 dev near"))?;
        Ok(Namespaces { near, far })
    }

    /// A program at the near end.
    pub fn near(&self, program: impl AsRef<OsStr>) -> Command {
        self.near.command(program)
    }

    /// A program at the far end.
    pub fn far(&self, program: impl AsRef<OsStr>) -> Command {
        self.far.command(program)
    }

    /// What a process at the far end reads as the name of its network.
    pub fn far_name(&self) -> String {
        self.far.run("readlink /proc/self/ns/net").expect("its name").trim().to_owned()
    }

    /// The packets that the near end sent so far.
    pub fn sent_from_near(&self) -> u64 {
        let counters = self.near.run("cat /proc/net/dev").expect("counters");
        let line = counters.lines().find_map(|line| line.trim().strip_prefix("near:")).expect("its line");
        line.split_whitespace().nth(9).expect("a column").parse().expect("a number")
    }

    /// Takes the link down, without a word to who speaks over it.
    pub fn take_down(&self) {
        self.near.run("ip link set near down").expect("it goes down");
    }
}
