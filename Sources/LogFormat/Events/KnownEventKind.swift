// SPDX-License-Identifier: GPL-2.0-or-later

/// The event kinds that this reader knows, as an enumeration, so that the compiler finds every switch that lacks one.
///
/// The numbers are those of `enum ttlog_event_kind` in ttlog.h. A test compares both lists, docs/log-format.md and the
/// second reader. To add a kind: add a case here, its number in ttlog.h, and its definition in `Table/`.
package enum KnownEventKind: UInt16, CaseIterable, Sendable {
    case interrupt = 1
    case exception = 2
    case discontinuity = 3
    case syscall = 4
    case softwareInterrupt = 5

    case portRead = 16
    case portWrite = 17
    case mmioRead = 18
    case mmioWrite = 19
    case rdtsc = 20
    case cpuid = 21
    case rdmsr = 22
    case wrmsr = 23
    case rdrand = 24
    case ramRead = 25
    case ramWrite = 26

    case hypercall = 32
    case hypercallResult = 33
    case upcall = 34
    case timeUpdate = 35
    case exit = 36
    case foreignWrite = 37
    case foreignRead = 38

    case context = 48
    case state = 49
    case rewound = 50
    case traceGap = 51
    case pageDigests = 52

    case attribute = 64
    case annotation = 65
    case lost = 66
    case comparableEnd = 67
    case runEnd = 68

    case clockRead = 80
    case checkpoint = 81
    case engineInput = 82
    case machineStop = 83
}
