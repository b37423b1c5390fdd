// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory
import TestSupport
import Testing

@testable import BugBundle

/// The size of the directory in which bundles are unpacked.
@Suite("Bundle cache")
struct BundleCacheTests {
    /// Bundles that differ in their windows, and a cache.
    struct Room {
        let compared: BundleTests.Compared
        let paths: [String]
        var cache: BundleCache

        init() throws {
            let compared = try BundleTests.Compared()
            self.compared = compared
            paths = try (1...4).map { radius in try compared.write("\(radius).ttbug") { $0.radius = UInt64(radius) } }
            cache = BundleCache(directory: compared.scratch.file("cache"))
        }

        var names: Set<String> { Set((try? Files.list(cache.directory)) ?? []) }

        /// Opens a bundle, and makes its last use so many seconds old.
        func open(_ index: Int, age: Int) throws -> String {
            let name = String(try cache.open(paths[index]).directory.split(separator: "/").last ?? "")
            try setAge(name, age)
            return name
        }

        func setAge(_ name: String, _ age: Int) throws {
            let used = timespec(tv_sec: time(nil) - age, tv_nsec: 0)
            try #require(utimensat(AT_FDCWD, "\(cache.directory)/\(name)", [used, used], 0) == 0)
        }
    }

    @Test func theOldestGoFirst() throws {
        var room = try Room()
        let (old, middle) = (try room.open(0, age: 50), try room.open(1, age: 100))
        // Another use makes the first one younger.
        #expect(try room.open(0, age: 20) == old)
        #expect(room.names == [old, middle])
        // No two of them fit: those before the new one go.
        let one = try #require(try Files.list("\(room.cache.directory)/\(old)").first)
        #expect(!one.isEmpty)
        room.cache.sizeLimit = 1
        let new = try room.open(2, age: 0)
        #expect(room.names == [new])
        // What was removed is unpacked again.
        room.cache.sizeLimit = 1 << 30
        #expect(try room.cache.open(room.paths[0]).verify() == [])
        #expect(room.names == [new, old])
    }

    @Test func onlyAsMuchAsNeededIsRemoved() throws {
        var room = try Room()
        let names = [try room.open(0, age: 300), try room.open(1, age: 400), try room.open(2, age: 200)]
        room.cache.sizeLimit = try size(room.cache.directory) + 4096
        let new = try room.open(3, age: 0)
        #expect(room.names == [names[0], names[2], new])
    }

    @Test func whatIsInUseStays() throws {
        var room = try Room()
        let used = try room.cache.open(room.paths[0])
        try room.setAge(String(used.directory.split(separator: "/").last ?? ""), 500)
        let other = try room.open(1, age: 100)
        room.cache.sizeLimit = 1
        let new = try room.cache.open(room.paths[2])
        #expect(Files.exists(used.directory) && Files.exists(new.directory))
        #expect(!room.names.contains(other))
        #expect(try used.verify() == [])
    }

    @Test func leftoversGoAndForeignFilesStay() throws {
        let room = try Room()
        _ = try room.open(0, age: 0)
        for (name, age) in [(".new-1-2", 7200), (".new-3-4", 60), ("notes", 7200)] {
            try Files.makeDirectory("\(room.cache.directory)/\(name)")
            try Files.replace("\(room.cache.directory)/\(name)/file", with: [1])
            try room.setAge(name, age)
        }
        _ = try room.open(1, age: 0)
        #expect(!room.names.contains(".new-1-2"))
        #expect(room.names.isSuperset(of: [".new-3-4", "notes"]))
    }

    /// What `du` counts in the directories of a directory.
    private func size(_ directory: String) throws -> UInt64 {
        try Files.list(directory).reduce(0) { total, name in
            var status = stat()
            try #require(lstat("\(directory)/\(name)", &status) == 0)
            let inside = status.st_mode & S_IFMT == S_IFDIR ? try size("\(directory)/\(name)") : 0
            return total + UInt64(status.st_blocks) * 512 + inside
        }
    }
}
