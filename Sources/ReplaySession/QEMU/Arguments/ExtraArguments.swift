// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// Refuses arguments for QEMU that record and replay does not support.
public enum ExtraArguments {
    /// Refuses, by name, what QEMU itself refuses late or not at all. QEMU would record something that cannot be replayed,
    /// or hang without a message.
    ///
    /// - Parameters:
    ///   - devices: the values of `-device` that the run has besides.
    ///   - isReplay: a replay may wait for a debugger (`-S`); a recording would wait for ever.
    public static func check(
        _ arguments: [String], devices: [String] = [], isReplay: Bool = false
    ) throws(RunError) {
        let options = ExtraArguments.options(arguments)
        for (name, value) in options where !(isReplay && name == "-S") { try check(option: name, value: value) }
        try DiskArguments.check(options)
        try NetworkArguments.check(options, devices: devices)
    }

    /// Separates the arguments that only watch the guest (a debugger, QEMU's own logs) from those that decide what it does.
    static func separate(_ arguments: [String]) -> (watchers: [String], others: [String]) {
        var watchers: [String] = []
        var others: [String] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            let name = argument.hasPrefix("--") ? String(argument.dropFirst()) : argument
            switch name {
            case "-S", "-s": watchers.append(argument)
            case "-gdb", "-d", "-D", "-dfilter", "-trace", "-msg", "-pidfile":
                watchers.append(argument)
                watchers += [rest.popFirst()].compactMap { $0 }
            default:
                others.append(argument)
                // A value such as that of -append may look like an option.
                if ManifestPolicy.options[name]?.takesValue == true { others += [rest.popFirst()].compactMap { $0 } }
            }
        }
        return (watchers, others)
    }

    /// The options with the arguments after them, which are the values of those that have one. `--x` is `-x`.
    static func options(_ arguments: [String]) -> [(name: String, value: String)] {
        arguments.indices.compactMap { index in
            let argument = arguments[index]
            let name = argument.hasPrefix("--") ? String(argument.dropFirst()) : argument
            guard name.hasPrefix("-") else { return nil }
            return (name, index + 1 < arguments.count ? arguments[index + 1] : "")
        }
    }

    private static func check(option: String, value: String) throws(RunError) {
        switch option {
        case "-smp":
            try checkProcessors(value)
        case "-machine", "-M":
            if value.contains("smp.") { throw processors("\(option) \(value)") }
            if value.contains("accel=kvm") || value.contains("accel=xen") { throw accelerator("\(option) \(value)") }
        case "-readconfig":
            throw .refused(what: option, why: "its effects cannot be checked here", remedy: .singleArguments)
        case "-enable-kvm":
            throw accelerator(option)
        case "-accel":
            if value != "tcg" && !value.hasPrefix("tcg,") { throw accelerator("-accel \(value)") }
            if value.contains("thread=multi") { throw accelerator("-accel \(value)") }
        case "-icount":
            throw .refused(what: option, why: "the run has a clock already", remedy: .clockSettings)
        case "-loadvm", "-incoming":
            throw .refused(
                what: option, why: "a log whose guest does not start at its beginning has wrong positions",
                remedy: .advice("record the guest from its start"))
        case "-daemonize":
            throw .refused(
                what: option, why: "the run's end could not be watched",
                remedy: .advice("put the tool in the background"))
        case "-S":
            throw .refused(what: option, why: "the guest would never start", remedy: .leaveOut)
        case "-snapshot":
            throw .refused(
                what: option, why: "it does not apply to recorded disks", remedy: .recordedDisk(image: nil))
        case "-rtc":
            let parts = OptionValue(value)
            if let base = parts["base"], base != "utc", base != "localtime", parts["clock"] != "vm" {
                throw .refused(
                    what: "-rtc \(value)", why: "the replay would read other times from it",
                    remedy: .useValue("-rtc base=\(base),clock=vm"))
            }
        default:
            break
        }
    }

    private static func checkProcessors(_ value: String) throws(RunError) {
        // -smp 1, -smp cpus=1, -smp 1,sockets=1: one processor, as recorded anyway.
        let counts = OptionValue(value).parts.map(\.value)
        guard counts.allSatisfy({ $0 == "1" }) else { throw processors("-smp \(value)") }
    }

    /// The refusal of more than one processor.
    public static func processors(_ what: String) -> RunError {
        .refused(what: what, why: "QEMU's record and replay takes one processor", remedy: .leaveOut)
    }

    private static func accelerator(_ what: String) -> RunError {
        .refused(
            what: what, why: "record and replay needs QEMU's own translator (single-threaded TCG)",
            remedy: .leaveOut)
    }
}
