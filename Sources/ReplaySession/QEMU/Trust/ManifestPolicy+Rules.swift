// SPDX-License-Identifier: GPL-2.0-or-later

extension ManifestPolicy {
    /// The options that a manifest may ask for. QEMU's own documentation describes them (qemu-system-x86_64(1)).
    static let options: [String: OptionRule] = [
        "-machine": machine, "-M": machine,
        "-cpu": OptionRule(first: .word, keys: ["*": .word]),
        "-m": OptionRule(first: .word, keys: ["size": .word, "slots": .word, "maxmem": .word]),
        "-smp": OptionRule(first: .word, keys: ["*": .word]),
        "-accel": OptionRule(
            first: .oneOf(["tcg"]), keys: ["thread": .oneOf(["single"]), "tb-size": .word, "split-wx": .word]),
        "-device": device,
        "-global": OptionRule(first: nil, keys: ["driver": .word, "property": .key, "value": .word, "*": .word]),
        "-drive": drive,
        "-netdev": OptionRule(
            first: .oneOf(["user"]),
            keys: [
                "id": .word, "restrict": .word, "net": .network, "host": .word, "dhcpstart": .word, "dns": .word,
                "hostname": .word, "ipv4": .word, "ipv6": .word,
            ]),
        "-nic": OptionRule(first: .oneOf(["none"]), keys: [:]),
        "-net": OptionRule(first: .oneOf(["none"]), keys: [:]),
        "-object": OptionRule(
            first: .oneOf(["filter-replay", "rng-builtin", "memory-backend-ram", "iothread"]), keys: ["*": .word]),
        "-bios": OptionRule(first: .file, keys: [:]),
        "-option-rom": OptionRule(first: .file, keys: ["romfile": .file, "bootindex": .word]),
        "-initrd": OptionRule(first: .modules, keys: [:]),
        "-kernel": OptionRule(first: .file, keys: [:]),
        "-append": OptionRule(first: .text, keys: [:]),
        "-fw_cfg": OptionRule(first: .text, keys: ["name": .text, "string": .text, "file": .file]),
        "-acpitable": OptionRule(
            first: nil, keys: ["file": .file, "data": .file, "*": .word]),
        "-smbios": OptionRule(first: nil, keys: ["file": .file, "path": .file, "*": .text]),
        "-rtc": OptionRule(first: nil, keys: ["base": .word, "clock": .word, "driftfix": .word]),
        "-boot": OptionRule(
            first: .word,
            keys: [
                "order": .word, "once": .word, "menu": .word, "strict": .word, "reboot-timeout": .word,
                "splash-time": .word, "splash": .file,
            ]),
        "-vga": OptionRule(first: .oneOf(["none", "std", "cirrus", "vmware", "virtio", "qxl"]), keys: [:]),
        "-action": OptionRule(first: nil, keys: ["*": .word]),
        "-watchdog-action": OptionRule(first: .word, keys: [:]),
        "-uuid": OptionRule(first: .word, keys: [:]),
        "-name": OptionRule(first: .text, keys: ["guest": .text, "process": .word, "debug-threads": .word]),
        "-serial": OptionRule(first: .oneOf(["none", "null"]), keys: [:]),
        "-parallel": OptionRule(first: .oneOf(["none", "null"]), keys: [:]),
        "-monitor": OptionRule(first: .oneOf(["none", "null"]), keys: [:]),
        "-display": OptionRule(first: .oneOf(["none"]), keys: [:]),
        "-audiodev": OptionRule(first: .oneOf(["none"]), keys: ["id": .word]),
        "-msg": OptionRule(first: .word, keys: ["*": .word]),
        "-no-hpet": .flag, "-no-acpi": .flag, "-no-shutdown": .flag, "-no-reboot": .flag, "-no-fd-bootchk": .flag,
        "-nodefaults": .flag, "-no-user-config": .flag, "-usb": .flag,
    ]

    private static let machine = OptionRule(
        first: .word,
        keys: [
            "type": .word, "accel": .oneOf(["tcg"]), "vmport": .word, "pit": .word, "pic": .word, "rtc": .word,
            "hpet": .word, "usb": .word, "i8042": .word, "smm": .word, "acpi": .word, "mem-merge": .word,
            "dump-guest-core": .word, "sata": .word, "smbus": .word, "max-ram-below-4g": .word, "x-option-roms": .word,
            "isa-serial": .word, "auto-kernel-cmdline": .word, "ioapic2": .word, "pcie": .word, "graphics": .word,
            "nvdimm": .word, "pflash0": .word, "pflash1": .word, "memory-backend": .word, "pcspk-audiodev": .word,
        ])

    private static let device = OptionRule(
        first: .oneOf(devices),
        keys: [
            "driver": .oneOf(devices), "file": .file, "romfile": .file, "rombar": .word, "*": .word,
        ])

    private static let drive = OptionRule(
        first: nil,
        keys: [
            "file": .file, "format": .oneOf(imageFormats), "if": .word, "id": .word, "unit": .word, "index": .word,
            "bus": .word, "media": .word, "readonly": .word, "snapshot": .word, "cache": .word,
            "driver": .oneOf(imageFormats + ["blkreplay"]), "image": .word, "serial": .word,
        ])

    /// Devices that the host takes no part in.
    private static let devices = [
        "virtio-blk-pci", "virtio-net-pci", "virtio-rng-pci", "virtio-scsi-pci", "virtio-serial-pci",
        "virtio-balloon-pci", "virtio-keyboard-pci", "virtio-mouse-pci", "virtio-tablet-pci", "virtio-gpu-pci",
        "virtio-vga", "virtio-blk-device", "virtio-net-device", "virtio-rng-device", "virtio-blk", "virtio-net",
        "virtio-rng", "scsi-hd", "scsi-cd", "ide-hd", "ide-cd", "isa-fdc", "floppy", "ahci", "ich9-ahci", "piix3-ide",
        "piix4-ide", "nvme", "sdhci-pci", "sd-card", "megasas", "lsi53c895a", "e1000", "e1000e", "igb", "rtl8139",
        "pcnet", "ne2k_pci", "i82559er", "i82557b", "isa-debug-exit", "isa-debugcon", "isa-serial", "pci-serial",
        "isa-parallel", "pvpanic", "pvpanic-pci", "loader", "VGA", "bochs-display", "cirrus-vga", "vmware-svga",
        "qxl-vga", "pci-bridge", "pcie-root-port", "pcie-pci-bridge", "ioh3420", "i82801b11-bridge", "pxb", "pxb-pcie",
        "piix3-usb-uhci", "piix4-usb-uhci", "usb-ehci", "ich9-usb-ehci1", "ich9-usb-uhci1", "ich9-usb-uhci2",
        "ich9-usb-uhci3", "qemu-xhci", "nec-usb-xhci", "usb-kbd", "usb-mouse", "usb-tablet", "usb-hub", "usb-storage",
        "i6300esb", "ib700", "hpet", "intel-iommu", "edu", "vmcoreinfo", "vmgenid", "AC97", "ES1370", "intel-hda",
        "hda-duplex", "sb16", "adlib", "gus", "cs4231a", "smbus-eeprom", "nvdimm", "pc-dimm",
    ]

    /// Formats of images, by QEMU's names.
    static let imageFormats = ["raw", "qcow2", "vmdk", "vdi", "vpc", "vhdx"]

    /// Settings of the plugin that name no file.
    static let pluginOptions: Set<String> = [
        "window", "kept", "sync", "level", "access", "mmio", "ram", "values", "context", "causes", "state", "check",
        "correct",
    ]
}
