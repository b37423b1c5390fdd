// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import LogFormat
import ReplaySession
import RunDirectory
import TestSupport
import Testing

/// The accesses to RAM of a traced window, beside the guest's memory at both ends of it.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(4)))
    struct MemoryTraceTests {
        private static let memory = 32 << 20

        /// The guest's memory at a position, from a core.
        private func memory(_ directory: String, at brctr: UInt64, _ scratch: TemporaryDirectory) throws -> [UInt8] {
            let path = scratch.file("\(brctr).core")
            let result = try run(Products.tool("tt-replay"), [directory, "--at", "\(brctr)", "--core", path])
            try #require(result.status == 0, "\(result)")
            // The memory is the core's last segment. Files of this size are read in pieces.
            let file = open(path, O_RDONLY)
            defer { close(file) }
            let start = lseek(file, 0, SEEK_END) - off_t(Self.memory)
            var bytes = [UInt8](repeating: 0, count: Self.memory)
            let count = pread(file, &bytes, bytes.count, start)
            try #require(count == bytes.count)
            return bytes
        }

        /// What the processor wrote by itself: the words above the first push of each handler.
        private func frames(_ log: LogFile, _ accesses: [Event], to end: UInt64) -> Set<Int> {
            var entries: Set<UInt64> = []
            var cursor = log.branches(from: log.header.clockBase, to: end)
            while let branch = cursor.next() {
                if branch.label.isDiscontinuity || branch.label.branchClass == .int { entries.insert(branch.clock + 1) }
            }
            var found: Set<Int> = []
            for access in accesses where access.kind == .ramWrite && entries.remove(access.clock) != nil {
                guard let address = access.address else { continue }
                found.formUnion((8..<56).map { Int(address) + $0 })
            }
            return found
        }

        /// The indices of bytes that differ.
        private func differences(_ a: [UInt8], _ b: [UInt8]) -> [Int] {
            stride(from: 0, to: a.count, by: 4096).flatMap { page in
                let isEqual = a.withUnsafeBytes { a in
                    b.withUnsafeBytes { memcmp(a.baseAddress! + page, $0.baseAddress! + page, 4096) == 0 }
                }
                return isEqual ? [] : (page..<page + 4096).filter { a[$0] != b[$0] }
            }
        }

        /// The bytes that an access read or wrote, and where.
        private func bytes(_ access: Event) throws -> (at: Int, [UInt8]) {
            let size = Int(access.info)
            let at = access.address.flatMap { Int(exactly: $0) } ?? .max
            // The address, the virtual address, one or two words.
            guard (1...16).contains(size), access.payload.count == (size > 8 ? 32 : 24), at <= Self.memory - size else {
                throw PlaceError("\(access)")
            }
            return (at, Array(access.payload[16..<16 + size]))
        }

        @Test(arguments: TravelTests.Version.allCases)
        func storesLeadFromTheMemoryAtTheBeginningToThatAtTheEnd(version: TravelTests.Version) throws {
            let scratch = try temporaryDirectory()
            let directory = try TravelTests.recorded(scratch, version)
            let path = scratch.file("window.log")
            let traced = try run(
                Products.tool("tt-replay"), [directory, "--trace", "1200000", "1200001", "--ram", "on", "-o", path])
            try #require(traced.status == 0 && traced.out.contains("the same as the run's own log"), "\(traced)")
            let log = try LogFile(path: path)
            #expect(log.header.features.isSuperset(of: [.ram, .ramValues]))
            let end = try #require(log.comparableEnd(vcpu: 0))
            let last = try #require(end.icount)
            var accesses: [Event] = []
            var cursor = log.events([.access])
            while let event = cursor.next() {
                guard event.kind == .ramRead || event.kind == .ramWrite, event.icount < last else { continue }
                accesses.append(event)
            }
            var memory = try self.memory(directory, at: log.header.clockBase, scratch)
            let expected = try self.memory(directory, at: end.clock, scratch)
            #expect(memory != expected)
            let frames = frames(log, accesses, to: end.clock)
            var (reads, others) = (0, 0)
            for access in accesses {
                let (at, bytes) = try bytes(access)
                if access.kind == .ramRead {
                    reads += 1
                    for (index, byte) in bytes.enumerated() where memory[at + index] != byte {
                        if !frames.contains(at + index) { others += 1 }
                    }
                }
                memory.replaceSubrange(at..<at + bytes.count, with: bytes)
            }
            #expect(others == 0)
            #expect(reads > 50_000 && accesses.count - reads > 50_000, "\(reads) of \(accesses.count)")
            // Left: frames, and the bits that the processor sets in page tables.
            let different = differences(memory, expected).filter { !frames.contains($0) }
            #expect(different.allSatisfy { (memory[$0] ^ expected[$0]) & ~0x60 == 0 }, "\(different.prefix(9))")
            // The log takes little space for each.
            #expect(try Files.contents(path).count < 16 * accesses.count)
            for tool in [["verify", path], ["events", path, "--kind", "ram-write"]] {
                #expect(try run(Products.tool("tt-analyze"), tool).status == 0)
            }
        }
    }
}
