// SPDX-License-Identifier: GPL-2.0-or-later

import TestSupport
import Testing

@testable import RunDirectory

/// The examples of FIPS 180-4, NIST's test vectors, and sizes around the end of a block.
@Suite struct FileDigestTests {
    private func digest(_ text: String, pieces: Int = .max) -> String {
        var hash = FileDigest()
        let bytes = Array(text.utf8)
        var offset = 0
        while offset < bytes.count {
            let end = min(bytes.count, pieces == .max ? bytes.count : offset + pieces)
            bytes[offset..<end].withUnsafeBytes { hash.update($0) }
            offset = end
        }
        return hash.finish()
    }

    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func knownAnswers(text: String, expected: String) {
        #expect(digest(text) == expected)
    }

    @Test func aMillionTimesA() {
        let text = String(repeating: "a", count: 1_000_000)
        #expect(digest(text) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test(arguments: [1, 55, 56, 63, 64, 65, 127])
    func piecesMakeNoDifference(size: Int) {
        let text = String(repeating: "0123456789", count: 77)
        #expect(digest(text, pieces: size) == digest(text))
    }

    @Test func agreesWithTheShellsTool() throws {
        let scratch = try temporaryDirectory()
        let path = try scratch.write("x", "what sha256sum prints\n")
        let identity = try FileIdentity(of: path, what: "file")
        #expect(identity.size == 22)
        #expect(identity.sha256 == "07963eef36e6507e0b60f01cf01afca382033283c4d8df2d182852830dcf3af7")
    }
}
