// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// An invented guest: an endless stream of branches that looks like compiled code at work.
///
/// The code is a set of routines (leaf functions with loops, nested calls, indirect calls, system calls into a kernel)
/// that a dispatcher calls in random order. Each routine is a prepared run of branches, so that playing it costs a copy
/// and an addition a branch. The same code seed gives the same routines, the same path seed the same order.
struct SyntheticGuest: ~Copyable {
    /// Instructions begun so far.
    private(set) var icount: UInt64
    /// The guest's place: the target of its last branch.
    private(set) var place: UInt64 = SyntheticGuest.dispatcher

    private let code: UnsafeMutableBufferPointer<RawBranch>
    private let routines: [Range<Int>]
    private var numbers: RandomNumbers
    /// The rest of the present routine.
    private var rest = 0..<0
    /// Instruction count at that routine's beginning.
    private var base: UInt64

    static let dispatcher: UInt64 = 0x40_1000
    private static let routineCount: UInt64 = 192

    init(codeSeed: UInt64, pathSeed: UInt64, icountBase: UInt64) {
        var builder = RoutineBuilder(seed: codeSeed)
        for index in 0..<SyntheticGuest.routineCount { builder.addRoutine(index) }
        code = .allocate(capacity: builder.branches.count)
        _ = code.initialize(from: builder.branches)
        routines = builder.routines
        numbers = RandomNumbers(seed: pathSeed)
        icount = icountBase
        base = icountBase
    }

    deinit { code.deallocate() }

    /// Makes the next branches, one for each element of the buffer.
    mutating func fill(_ buffer: UnsafeMutableBufferPointer<RawBranch>) {
        var filled = 0
        while filled < buffer.count {
            if rest.isEmpty {
                rest = routines[Int(numbers.below(UInt64(routines.count)))]
                base = icount
            }
            let count = min(rest.count, buffer.count - filled)
            let added = base << 8
            for index in 0..<count {
                var branch = code[rest.lowerBound + index]
                branch.icountLabel &+= added
                buffer[filled + index] = branch
            }
            let last = buffer[filled + count - 1]
            place = last.to
            icount = last.icountLabel >> 8
            rest = (rest.lowerBound + count)..<rest.upperBound
            filled += count
        }
    }

    /// Takes another way from here on: other routines in another order.
    mutating func depart() {
        numbers = RandomNumbers(seed: numbers.next() ^ 0x5851_f42d_4c95_7f2d)
        rest = 0..<0
    }

    /// Counts instructions that no branch shows (a longer string instruction).
    mutating func skip(instructions: UInt64) {
        icount &+= instructions
        base &+= instructions
    }
}

/// Prepares the routines of a ``SyntheticGuest``. Instruction counts are relative to the routine's beginning.
private struct RoutineBuilder {
    private(set) var branches: [RawBranch] = []
    private(set) var routines: [Range<Int>] = []
    private var numbers: RandomNumbers
    private var icount: UInt64 = 0

    private static let user: UInt64 = 0x40_2000
    private static let kernel: UInt64 = 0xffff_ffff_8100_0000

    init(seed: UInt64) { numbers = RandomNumbers(seed: seed) }

    mutating func addRoutine(_ index: UInt64) {
        let start = branches.count
        icount = 0
        let site = SyntheticGuest.dispatcher + 16 * index
        let entry = RoutineBuilder.user + 0x400 * index
        switch index % 8 {
        case 0:  // a system call
            let handler = RoutineBuilder.kernel + 0x1000 * index
            add(site, RoutineBuilder.kernel + 0x80, .syscall, isStatic: false)
            add(RoutineBuilder.kernel + 0xa0, handler, .callIndirect, isStatic: false)
            addBody(handler, calls: 2)
            add(handler + 0x3f0, RoutineBuilder.kernel + 0xa8, .ret, isStatic: false)
            add(RoutineBuilder.kernel + 0xc0, site + 2, .sysret, isStatic: false)
        case 1, 2:  // a function pointer
            add(site, entry, .callIndirect, isStatic: false)
            addBody(entry, calls: 0)
            add(entry + 0x3f0, site + 3, .ret, isStatic: false)
        default:
            add(site, entry, .call)
            addBody(entry, calls: Int(index % 3))
            add(entry + 0x3f0, site + 5, .ret, isStatic: false)
        }
        add(site + 8, SyntheticGuest.dispatcher, .jmp)
        routines.append(start..<branches.count)
    }

    /// Some tests, some loops, some calls of leaves.
    private mutating func addBody(_ entry: UInt64, calls: Int) {
        var place = entry
        for _ in 0..<(2 + numbers.below(4)) {
            let from = place + 4 + numbers.below(12)
            place = from + 6 + numbers.below(20)
            add(from, place, .jcc)
        }
        let loop = place
        let turns = 1 + numbers.below(numbers.below(6) == 0 ? 60 : 8)
        for _ in 0..<turns { add(loop + 0x18, loop, .jcc) }
        place = loop + 0x20
        for call in 0..<calls {
            let leaf = entry + 0x200 + 0x40 * UInt64(call)
            add(place, leaf, .call)
            add(leaf + 8, leaf + 0x10, .jcc)
            add(leaf + 0x20, place + 5, .ret, isStatic: false)
            place += 16
        }
    }

    private mutating func add(_ from: UInt64, _ to: UInt64, _ label: BranchClass, isStatic: Bool = true) {
        icount += 1 + numbers.below(9)
        branches.append(
            RawBranch(from: from, to: to, icount: icount, label: BranchLabel(label, hasStaticTarget: isStatic)))
    }
}
