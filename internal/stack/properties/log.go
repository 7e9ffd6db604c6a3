package properties

// Log is the log file of a service, rotated by size while the service runs.
type Log struct {
	File string // path
}

const (
	logSize  = "10MB" // of one log file
	logFiles = "3"    // older files beside it
	logLine  = "%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %-5p %m (%c{1})%n"
	// logLine1 has no colon in the time zone: reload4j formats times as Java 1.4 did.
	logLine1 = "%d{yyyy-MM-dd'T'HH:mm:ss.SSSZ} %-5p %m (%c{1})%n"
)

// quiet lists loggers whose messages below a level are not useful.
var quiet = [...]struct{ name, logger, level string }{
	{"reflections", "org.reflections", "ERROR"},
	{"jersey", "org.glassfish.jersey", "ERROR"},
	{"values", "org.apache.kafka.connect.runtime.WorkerConfig", "WARN"},
	{"zookeeper", "org.apache.zookeeper.audit", "WARN"},
	{"srvr", "org.apache.zookeeper.server.NIOServerCnxn", "WARN"},        // one line per health check
	{"rest", "org.apache.kafka.connect.runtime.rest.RestServer", "WARN"}, // the same for Connect
}

// Reload4j returns log4j.properties of version 1, which Kafka 3 and ZooKeeper read.
func (l Log) Reload4j() File {
	f := File{
		{"log4j.rootLogger", "INFO, file"},
		{"log4j.appender.file", "org.apache.log4j.RollingFileAppender"},
		{"log4j.appender.file.File", l.File},
		{"log4j.appender.file.MaxFileSize", logSize},
		{"log4j.appender.file.MaxBackupIndex", logFiles},
		{"log4j.appender.file.layout", "org.apache.log4j.PatternLayout"},
		{"log4j.appender.file.layout.ConversionPattern", logLine1},
	}
	for _, q := range quiet {
		f = append(f, Property{"log4j.logger." + q.logger, q.level})
	}
	return f
}

// Log4j2 returns log4j2.properties, which Kafka 4 reads.
func (l Log) Log4j2() File {
	f := File{
		{"status", "error"},
		{"name", "smartlb"},
		{"appender.file.type", "RollingFile"},
		{"appender.file.name", "file"},
		{"appender.file.fileName", l.File},
		{"appender.file.filePattern", l.File + ".%i"},
		{"appender.file.layout.type", "PatternLayout"},
		{"appender.file.layout.pattern", logLine},
		{"appender.file.policies.type", "Policies"},
		{"appender.file.policies.size.type", "SizeBasedTriggeringPolicy"},
		{"appender.file.policies.size.size", logSize},
		{"appender.file.strategy.type", "DefaultRolloverStrategy"},
		{"appender.file.strategy.max", logFiles},
		{"appender.file.strategy.fileIndex", "min"}, // .1 is the latest, as with version 1
		{"rootLogger.level", "info"},
		{"rootLogger.appenderRef.file.ref", "file"},
	}
	for _, q := range quiet {
		f = append(f, Property{"logger." + q.name + ".name", q.logger}, Property{"logger." + q.name + ".level", q.level})
	}
	return f
}
