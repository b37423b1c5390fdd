// SPDX-License-Identifier: GPL-2.0-or-later
// A libFuzzer harness for the readers of a Linux guest's memory, built by guestmemory.sh.
//
// An input is a list of changes to a sound guest: 2 bytes of place in words of 4 bytes (little-endian), a byte of length
// (modulo 32), as many bytes. The harness reads tasks, modules and messages, and checks that each list is bounded.

import Glibc

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    let input = UnsafeBufferPointer(start: data, count: size)
    let subject = Subject.shared
    var image = subject.image
    var place = 0
    while place + 3 <= input.count {
        let offset = 4 * (Int(input[place]) | Int(input[place + 1]) << 8)
        let length = min(Int(input[place + 2] & 31), input.count - place - 3)
        for index in 0..<length { image[(offset + index) % image.count] = input[place + 3 + index] }
        place += 3 + length
    }
    guard let memory = try? GuestMemory(creating: FuzzFile.shared.path, size: image.count) else { return 0 }
    image.withUnsafeBytes { bytes in
        guard let file = fopen(FuzzFile.shared.path, "r+") else { return }
        fwrite(bytes.baseAddress, 1, bytes.count, file)
        fclose(file)
    }
    let tables = PageTables(cr3: 0x10000, cr4: 0) { memory.value(at: $0) }
    let guest = LinuxGuest(tables: tables, memory: memory, kernel: ("guestmemory-kernel", 0))
    let tasks = answer(size) { try guest.tasks() }
    let modules = answer(size) { try guest.modules() }
    let messages = answer(size) { try guest.messages() }
    if size == 0 {
        check(tasks.map(\.name) == ["swapper", "init"] && tasks[1].isRunning, "\(tasks)")
        check(modules.map(\.line) == ["ext4 4096 0 - Live 0xffffffffc0000000"], "\(modules)")
        check(messages.map(\.text) == ["one", "two"], "\(messages)")
    }
    check(tasks.count <= LinuxGuest.listLimit + 1, "\(tasks.count) tasks")
    check(modules.count <= LinuxGuest.listLimit, "\(modules.count) modules")
    let text = messages.reduce(0) { $0 + $1.text.utf8.count }
    check(text <= 4 << 25, "\(text) bytes of messages")
    for text in tasks.map(\.row) + modules.map(\.line) + messages.map(\.line) { subject.sum &+= text.utf8.count }
    return 0
}

/// Ends the process with a message, which `precondition` leaves out in optimised code.
private func check(_ holds: Bool, _ what: @autoclosure () -> String) {
    guard !holds else { return }
    print(what())
    fflush(nil)
    abort()
}

/// An answer; an error is one too, but not of the sound guest.
private func answer<Element>(_ size: Int, _ ask: () throws -> [Element]) -> [Element] {
    do {
        return try ask()
    } catch {
        check(size > 0, "\(error)")
        return []
    }
}

/// The sound guest.
private final class Subject: @unchecked Sendable {
    static let shared = Subject()

    let image: [UInt8]
    /// A sum over everything that was read, so that reading is not optimised away.
    var sum = 0

    private init() {
        var bytes: [UInt8] = []
        if let file = fopen("guestmemory-image", "r") {
            var piece = [UInt8](repeating: 0, count: 1 << 17)
            bytes = Array(piece[..<fread(&piece, 1, piece.count, file)])
            fclose(file)
        }
        check(!bytes.isEmpty, "guestmemory-image: run guestmemory.sh")
        image = bytes
    }
}
