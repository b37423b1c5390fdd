// SPDX-License-Identifier: GPL-2.0-or-later

/// Arguments given to QEMU as they are, checked for what record and replay cannot do.
public enum ExtraArguments {
    /// Refuses, by name, what QEMU itself refuses late or not at all: it then records something that cannot be
    /// replayed, or hangs without a word.
    ///
    /// - Parameter isReplay: a replay may wait for a debugger (`-S`); a recording would wait for ever.
    public static func check(_ arguments: [String], isReplay: Bool = false) throws(SessionError) {
        var index = 0
        let network = arguments.contains { $0.contains("filter-replay") }
        while index < arguments.count {
            let argument = arguments[index]
            let value = index + 1 < arguments.count ? arguments[index + 1] : ""
            let name = argument.hasPrefix("--") ? String(argument.dropFirst()) : argument
            index += 1
            guard name.hasPrefix("-"), !(isReplay && name == "-S") else { continue }
            try check(option: name, value: value, hasNetworkFilter: network)
        }
    }

    /// Whether all that these arguments do is watch: a debugger, QEMU's own logs.
    static func onlyWatch(_ arguments: [String]) -> Bool {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "-S", "-s": continue
            case "-gdb", "-d", "-D", "-dfilter", "-trace", "-msg": rest = rest.dropFirst()
            default: return false
            }
        }
        return true
    }

    private static func check(option: String, value: String, hasNetworkFilter: Bool) throws(SessionError) {
        switch option {
        case "-smp":
            try checkProcessors(value)
        case "-machine", "-M":
            if value.contains("smp.") { throw processors("\(option) \(value)") }
            if value.contains("accel=kvm") || value.contains("accel=xen") { throw accelerator("\(option) \(value)") }
        case "-readconfig":
            throw .refused(
                what: "-readconfig", why: "what it changes cannot be checked here",
                remedy: "give its settings as arguments")
        case "-enable-kvm":
            throw accelerator(option)
        case "-accel":
            if value != "tcg" && !value.hasPrefix("tcg,") { throw accelerator("-accel \(value)") }
            if value.contains("thread=multi") { throw accelerator("-accel \(value)") }
        case "-icount":
            throw .refused(
                what: "-icount", why: "the recording has its own", remedy: "give --shift and --sleep instead")
        case "-loadvm", "-incoming":
            throw .refused(
                what: option, why: "a log whose guest does not start at its beginning has wrong positions",
                remedy: "record from the start")
        case "-daemonize":
            throw .refused(
                what: option, why: "nobody could watch the run's end", remedy: "put the tool in the background instead")
        case "-S":
            throw .refused(
                what: option, why: "the guest would never start", remedy: "leave it out")
        case "-snapshot":
            throw .refused(
                what: option, why: "it does not reach what is recorded", remedy: "--disk does this for each disk")
        case "-hda", "-hdb", "-hdc", "-hdd", "-cdrom", "-fda", "-fdb", "-sd", "-mtdblock":
            throw disk(option)
        case "-drive":
            let isOurs = value.contains("blkreplay") || value.contains("if=none") || value.contains("if=pflash")
            if !isOurs { throw disk("-drive \(value)") }
        case "-nic", "-netdev", "-net":
            if value != "none" && !hasNetworkFilter {
                throw .refused(
                    what: "\(option) \(value)", why: "packets from outside would not be recorded",
                    remedy: "add -object filter-replay,id=replay,netdev=ID")
            }
        default:
            break
        }
    }

    private static func checkProcessors(_ value: String) throws(SessionError) {
        // -smp 1, -smp cpus=1, -smp 1,sockets=1: one processor is what there is anyway.
        let parts = value.split(separator: ",")
        let counts = parts.compactMap { part -> Substring? in
            guard let equals = part.firstIndex(of: "=") else { return part }
            return part[part.index(after: equals)...]
        }
        guard !counts.isEmpty, counts.allSatisfy({ $0 == "1" }) else { throw processors("-smp \(value)") }
    }

    /// The refusal of more than one processor.
    public static func processors(_ what: String) -> SessionError {
        .refused(
            what: what, why: "QEMU's record and replay takes one processor",
            remedy: "record the guest with one (leave it out)")
    }

    private static func accelerator(_ what: String) -> SessionError {
        .refused(
            what: what, why: "record and replay needs QEMU's own translator (single-threaded TCG)",
            remedy: "leave it out")
    }

    private static func disk(_ what: String) -> SessionError {
        .refused(
            what: what, why: "its timing would not be recorded and the replay would hang",
            remedy: "give --disk PATH instead")
    }
}
