// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The file that a harness writes its input to; in memory where /dev/shm can be written.
final class FuzzFile: Sendable {
    static let shared = FuzzFile()

    let path: String

    private init() {
        let directory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        path = "\(directory)/tt-fuzz-\(getpid())"
        atexit { unlink(FuzzFile.shared.path) }
    }

    func write(_ bytes: UnsafeRawBufferPointer) { FuzzFile.write(bytes, to: path) }

    static func write(_ bytes: UnsafeRawBufferPointer, to path: String) {
        guard let file = fopen(path, "w") else { return }
        fwrite(bytes.baseAddress, 1, bytes.count, file)
        fclose(file)
    }
}
