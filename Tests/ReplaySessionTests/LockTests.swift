// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

@Suite struct LockTests {
    /// A killed tool leaves QEMU running: the directory stays in use until QEMU ends.
    @Test func aDirectoryStaysInUseWhileAChildHoldsTheLock() throws {
        let scratch = try temporaryDirectory()
        let path = scratch.file("run")
        let child: ChildProcess
        do {
            let directory = try StateDirectory.create(path, overwrite: false)
            try directory.recording.place.replace(Manifest.fileName, with: Array("{}".utf8))
            child = try ChildProcess(
                path: "/bin/sleep", arguments: ["sleep", "60"], inheriting: [(directory.lock.descriptor, 4)],
                output: nil)
            directory.lock.noteHolder("QEMU (process \(child.pid))")
        }
        let error = #expect(throws: RunError.self) { try StateDirectory.open(path) }
        #expect(error.map { "\($0)" }?.contains("QEMU (process \(child.pid))") == true)
        child.endNow()
        _ = try StateDirectory.open(path)
    }
}
