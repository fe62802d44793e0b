"""What commands share: settings and options, tables and progress, findings."""
