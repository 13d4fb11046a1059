//! What a hostile program tries: run inside the sandbox by its tests. Ends with
//! 0 where it got what it wanted.

#![allow(clippy::unwrap_used, reason = "who fails has been stopped, which is the point")]
#![allow(clippy::disallowed_methods, reason = "it opens what it likes")]
#![expect(unsafe_code, reason = "it asks the kernel for what no safe function asks")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["tcp", address] => drop(TcpStream::connect(address).unwrap()),
        ["udp", address] => {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(b"x", address).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            socket.recv(&mut [0; 1]).unwrap();
        }
        ["unix", path] => drop(UnixStream::connect(path).unwrap()),
        ["talk-to-itself"] => talk_to_itself(),
        ["forks"] => loop {
            let _ = Command::new(std::env::current_exe().unwrap()).arg("forks").spawn();
        },
        ["keep", bytes] => {
            let memory = vec![1_u8; bytes.parse().unwrap()];
            std::thread::sleep(Duration::from_secs(1));
            println!("kept {}", memory.iter().map(|byte| usize::from(*byte)).sum::<usize>());
        }
        // With a word that tells its processes from those of others.
        ["hop", ..] => hop(),
        ["flip", one, other] => flip(one, other),
        ["terminal"] => terminal(),
        ["call", call, rest @ ..] => {
            let rest: Vec<libc::c_long> = rest.iter().map(|one| one.parse().unwrap()).collect();
            let argument = |index: usize| rest.get(index).copied().unwrap_or_default();
            // SAFETY: no call that the tests name takes memory of this process.
            let answer = unsafe {
                libc::syscall(
                    call.parse().unwrap(),
                    argument(0),
                    argument(1),
                    argument(2),
                    argument(3),
                    argument(4),
                    argument(5),
                )
            };
            let error = std::io::Error::last_os_error();
            assert!(answer >= 0, "{error}");
        }
        other => unreachable!("nobody knows how to do {other:?}"),
    }
}

fn talk_to_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut caller = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    caller.write_all(b"hello").unwrap();
    drop(caller);
    let mut heard = String::new();
    listener.accept().unwrap().0.read_to_string(&mut heard).unwrap();
    println!("{heard}");
}

/// Goes on as a new process again and again, so that whoever is looked at is gone.
fn hop() -> ! {
    loop {
        // SAFETY: this program has a single thread.
        match unsafe { libc::fork() } {
            0 | -1 => {}
            _ => std::process::exit(0),
        }
    }
}

/// Lets two files change places for ever, so fast that whoever looks twice at one
/// may well see both.
fn flip(one: &str, other: &str) -> ! {
    let [one, other] = [one, other].map(|path| std::ffi::CString::new(path).unwrap());
    for flips in 1_u64.. {
        // SAFETY: both paths end with a NUL.
        let done = unsafe {
            let here = libc::AT_FDCWD;
            libc::renameat2(here, one.as_ptr(), here, other.as_ptr(), libc::RENAME_EXCHANGE)
        };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        if flips == 2 {
            println!("flipped");
        }
    }
    unreachable!("there are that many")
}

/// Talks to itself by a terminal, as programs do that run others in one.
fn terminal() {
    // SAFETY: the calls take numbers and give back a number and a C string.
    let (master, name) = unsafe {
        let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY);
        assert!(libc::grantpt(master) == 0 && libc::unlockpt(master) == 0);
        (master, std::ffi::CStr::from_ptr(libc::ptsname(master)).to_owned())
    };
    let mut slave = std::fs::OpenOptions::new().write(true).open(name.to_str().unwrap()).unwrap();
    slave.write_all(b"seen").unwrap();
    let mut seen = [0_u8; 4];
    // SAFETY: the buffer has the length that is named.
    assert_eq!(unsafe { libc::read(master, seen.as_mut_ptr().cast(), 4) }, 4);
    println!("{}", String::from_utf8_lossy(&seen));
}
