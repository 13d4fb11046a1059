//! A server that answers whatever it is given, well formed or not.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

/// Answers one connection after the other with the texts given, and returns
/// the requests' bodies.
pub(super) fn serve_raw(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |answer: String| {
        let (mut stream, _) = listener.accept().unwrap();
        let body = read_request(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
        body
    };
    (base, std::thread::spawn(move || answers.into_iter().map(answer).collect()))
}

/// Reads a request to its end and returns its body.
pub(super) fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).unwrap();
        assert!(length > 0, "the request ended early");
        request.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let (_, length) = head.split_once("content-length: ").unwrap();
        if body.len() == length.split("\r\n").next().unwrap().parse::<usize>().unwrap() {
            return String::from_utf8(request[head.len() + 4..].to_vec()).unwrap();
        }
    }
}

/// An answer whose status is good.
pub(super) fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}
