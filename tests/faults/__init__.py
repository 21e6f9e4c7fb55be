"""What goes wrong on real hosts: full disks, hands, other runs, signals, strangers."""
