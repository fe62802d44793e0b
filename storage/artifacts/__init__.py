"""The model store behind one port (`port.Store`), with two adapters: a folder and SFTP."""
