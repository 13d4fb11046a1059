//! What a hostile program tries: run inside the sandbox by its tests. Ends with
//! 0 where it got what it wanted.

#![allow(clippy::unwrap_used, reason = "who fails has been stopped, which is the point")]
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
        ["memory", bytes] => {
            let mut memory = Vec::new();
            memory.try_reserve_exact(bytes.parse().unwrap()).unwrap();
            memory.extend_from_slice(b"x");
        }
        ["keep", bytes] => {
            let memory = vec![1_u8; bytes.parse().unwrap()];
            std::thread::sleep(Duration::from_secs(1));
            println!("kept {}", memory.iter().map(|byte| usize::from(*byte)).sum::<usize>());
        }
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
